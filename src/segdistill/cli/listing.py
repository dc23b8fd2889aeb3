"""``segdistill list``: what a config may name."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter
from typing import Annotated, Any

import typer

from segdistill.cli.words import Config, Json, Overrides, Trust, check_config

Containing = Annotated[str, typer.Argument(help="Only names that contain this.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also settings and sources.")]

Rows = dict[str, dict[str, Any]]


def losses(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List distillation losses.

    Example: segdistill list losses --verbose
    """
    from segdistill.catalogue.losses import LOSSES
    from segdistill.config.loading import choices

    known = choices().loss
    rows: Rows = {
        name: {
            "about": row.about,
            "settings": {**known[name].defaults, **_settings(known[name].settings)},
            "source": row.source,
        }
        for name, row in LOSSES.items()
    }
    _print(rows, containing, verbose=verbose, as_json=json)


def networks(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List networks: ours, and how to name anybody's.

    Example: segdistill list networks --verbose
    """
    from segdistill.catalogue.networks import NETWORKS, SOURCES
    from segdistill.config.loading import choices

    known = choices().network
    about = {name: row.about for name, row in NETWORKS.items()}
    about |= {f"{source}:": row.about for source, row in SOURCES.items()}
    rows: Rows = {
        name: {"about": text, "settings": _settings(known[name].settings)}
        for name, text in about.items()
    }
    _print(rows, containing, verbose=verbose, as_json=json)


def backbones(containing: Containing = "", json: Json = False) -> None:
    """List backbones: ours, and all of timm's.

    Example: segdistill list backbones mobilenetv2
    """
    from segdistill.models import backbone_names

    rows: Rows = {name: {"about": ""} for name in backbone_names()}
    _print(rows, containing, verbose=False, as_json=json)


def heads(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List heads; each network above a backbone has one.

    Example: segdistill list heads --verbose
    """
    from segdistill.catalogue.networks import HEADS
    from segdistill.catalogue.tables import settings

    rows: Rows = {
        name: {
            "about": row.about,
            "settings": _settings(settings("segdistill.models", row.target, row.given)),
        }
        for name, row in HEADS.items()
    }
    _print(rows, containing, verbose=verbose, as_json=json)


def datasets(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List datasets, and how to lay them out.

    Example: segdistill list datasets camvid --verbose
    """
    from segdistill.catalogue.datasets import DATASETS
    from segdistill.catalogue.tables import load
    from segdistill.config.loading import choices

    known = choices().dataset
    rows: Rows = {}
    for name, row in DATASETS.items():
        rows[name] = {
            "about": row.about,
            "settings": _settings(known[name].settings),
            "splits": list(row.splits),
            "ignored labels": row.ignored,
            "layout below root": row.layout,
            "source": row.source,
            "licence": row.licence,
        }
        if not row.classes:
            rows[name]["classes"] = "the files decide" if row.ignored != "all" else "none"
        elif verbose and containing in name:
            classes = load("segdistill.data", row.classes)
            rows[name]["number of classes"] = len(classes)
            rows[name]["classes"] = {
                label: "#{:02x}{:02x}{:02x}".format(*color)
                for label, color in zip(classes.names, classes.colors, strict=True)
            }
    _print(rows, containing, verbose=verbose, as_json=json)


def formats(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List the exports of annotation tools that convert reads.

    Example: segdistill list formats --verbose
    """
    from segdistill.catalogue.conversions import CONVERSIONS

    rows: Rows = {
        name: {"about": row.about, "files": row.layout} for name, row in CONVERSIONS.items()
    }
    _print(rows, containing, verbose=verbose, as_json=json)


def taps(
    config: Config, overrides: Overrides = None, trust: Trust = None, json: Json = False
) -> None:
    """List the inner maps of a config's networks.

    Each path can be a term's tap, or be given a name under taps in the config.

    Example: segdistill list taps camvid/students data.root=camvid
    """
    from dataclasses import asdict
    from json import dumps

    check_config(config, overrides, trust)
    from segdistill.api import delivery

    found = delivery.list_taps(config, overrides=overrides or (), trust=trust or ())
    if json:
        shapes = {
            name: {path: asdict(shape) for path, shape in network.items()}
            for name, network in found.items()
        }
        print(dumps(shapes))
        return
    for name, network in found.items():
        width = max(map(len, network))
        print(f"{name}:")
        for path, shape in network.items():
            size = f"{shape.size[0]}x{shape.size[1]}"
            print(f"  {path.ljust(width)}  {shape.channels:5} x {size:9} stride {shape.stride}")


def _print(rows: Rows, containing: str, *, verbose: bool, as_json: bool) -> None:
    from json import dumps

    from segdistill.checks import nearest
    from segdistill.errors import ConfigError

    chosen = {name: row for name, row in rows.items() if containing.lower() in name.lower()}
    if not chosen:
        raise ConfigError(
            f"list: expected part of a name, got '{containing}'; "
            + (nearest(containing, rows) if len(rows) < 100 else "leave it out to see all")
        )
    if as_json:
        print(dumps(chosen if verbose else {name: row["about"] for name, row in chosen.items()}))
        return
    width = max(map(len, chosen))
    for name, row in chosen.items():
        print(f"{name.ljust(width)}  {row['about']}".rstrip())
        for key, value in row.items() if verbose else ():
            shown = _in_words(value)
            if key != "about" and shown:
                print(f"{' ' * width}    {key}: {shown}")


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            key if each == _REQUIRED else f"{key}={_as_yaml(each)}" for key, each in value.items()
        )
    return ", ".join(value) if isinstance(value, list) else str(value)


def _as_yaml(value: Any) -> str:
    from json import dumps

    return value if isinstance(value, str) else dumps(value)


_REQUIRED = "required"


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _REQUIRED if setting.default is Parameter.empty else setting.default
        for key, setting in settings.items()
    }
