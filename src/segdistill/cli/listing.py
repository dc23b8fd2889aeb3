"""``segdistill list``: what a config may name."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter
from typing import Annotated

import typer

from segdistill.cli.words import Json

KINDS = ("losses", "networks", "backbones", "heads", "datasets")


def listing(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(KINDS)}.")],
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also their settings.")] = False,
    json: Json = False,
) -> None:
    """List what a config may name.

    Example: segdistill list losses --verbose
    """
    from json import dumps

    from segdistill.checks import nearest
    from segdistill.errors import ConfigError

    if kind not in KINDS:
        raise ConfigError(f"list: there is no list of '{kind}'; {nearest(kind, KINDS)}")
    rows = _rows(kind, verbose=verbose)
    if json:
        print(dumps(rows))
        return
    width = max(map(len, rows))
    for name, about in rows.items():
        print(f"{name.ljust(width)}  {about}".rstrip())


def _rows(kind: str, *, verbose: bool) -> dict[str, str]:
    from segdistill.catalogue import choices
    from segdistill.config import Choice
    from segdistill.data import DATASETS
    from segdistill.losses import LOSSES
    from segdistill.models import HEADS, NETWORKS

    if kind == "backbones":
        from segdistill.models import backbone_names

        return dict.fromkeys(backbone_names(), "")
    if kind == "heads":
        return {name: entry.about for name, entry in HEADS.items()}
    known = choices()
    tables: dict[str, tuple[Mapping[str, str], Mapping[str, Choice]]] = {
        "losses": ({name: row.about for name, row in LOSSES.items()}, known.loss),
        "networks": ({name: row.about for name, row in NETWORKS.items()}, known.network),
        "datasets": ({name: row.about for name, row in DATASETS.items()}, known.dataset),
    }
    rows, settings = tables[kind]
    if not verbose:
        return dict(rows)
    return {name: f"{about}  {_settings(settings[name])}" for name, about in rows.items()}


def _settings(choice: object) -> str:
    from segdistill.config import Choice

    assert isinstance(choice, Choice)
    words = [f"{key}={value}" for key, value in choice.defaults.items()]
    for key, setting in choice.settings.items():
        words.append(key if setting.default is Parameter.empty else f"{key}={setting.default}")
    return f"[{', '.join(words)}]" if words else ""
