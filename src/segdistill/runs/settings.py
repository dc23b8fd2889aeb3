"""The request and the resolved settings of a run: ``args.yaml`` and ``resolved.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segdistill.errors import RunFolderError
from segdistill.runs.documents import check_record, read_yaml, write_yaml
from segdistill.runs.layout import ARGS, SETTINGS

_SECTIONS = ("data", "teacher", "student", "training", "evaluation")


@dataclass(frozen=True)
class Args:
    """``args.yaml``: the request of the user, before anything was resolved.

    Attributes:
        verb: ``train`` or ``distill``.
        source: config file or recipe.
        overrides: overrides of the form ``a.b=value``.
        paths: absolute paths of the named files and folders, by key.
    """

    verb: str
    source: str
    overrides: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)


def write_args(run: Path, args: Args) -> None:
    """Write ``args.yaml``."""
    write_yaml(run / ARGS, asdict(args) | {"overrides": list(args.overrides)})


def read_args(run: Path) -> Args | None:
    """Read ``args.yaml``, None if it does not exist, as for runs of a study.

    Raises:
        RunFolderError: it is broken.
    """
    file = run / ARGS
    return check_record(file, Args, read_yaml(file)) if file.exists() else None


def has_settings(run: Path) -> bool:
    """Return whether a folder contains a run, finished or not."""
    return (run / SETTINGS).is_file()


def write_settings(run: Path, tree: Mapping[str, Any]) -> None:
    """Write ``resolved.yaml``: the config with every default."""
    write_yaml(run / SETTINGS, tree)


def read_settings(run: Path) -> dict[str, Any]:
    """Read ``resolved.yaml`` as a tree, to be checked by :mod:`segdistill.config`.

    Raises:
        RunFolderError: it is missing or broken.
    """
    tree = read_yaml(run / SETTINGS)
    for name in _SECTIONS:
        if not isinstance(tree.get(name, {}), dict | None):
            raise RunFolderError(
                f"{run / SETTINGS}: expected a mapping at '{name}', got "
                f"{type(tree[name]).__name__}; restore the file from a copy"
            )
    return tree


def read_settings_text(run: Path) -> str:
    """Return the text of ``resolved.yaml`` for display; empty if there is none."""
    file = run / SETTINGS
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
