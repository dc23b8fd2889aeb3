"""Which tool exported a folder, by the files in it."""

from __future__ import annotations

import shlex
from pathlib import Path

from segdistill.catalogue.conversions import CONVERSIONS
from segdistill.catalogue.tables import load
from segdistill.data.convert.export import Export
from segdistill.errors import DataError

_PACKAGE = "segdistill.data"


def detect(export: Export) -> str:
    """Return ``"format: signs"`` of an export, or "" where no tool is recognised.

    Args:
        export: the folder.

    Raises:
        DataError: several formats are; they are named.
    """
    signs_by_name = {
        name: signs
        for name, row in CONVERSIONS.items()
        if row.detect and (signs := load(_PACKAGE, row.detect)(export))
    }
    if len(signs_by_name) > 1:
        listed = "".join(f"\n  {name}: {signs}" for name, signs in signs_by_name.items())
        raise DataError(
            f"{export.root}: expected one format, got the signs of {len(signs_by_name)}; name one "
            "with "
            f"--from:{listed}"
        )
    return next((f"{name}: {signs}" for name, signs in signs_by_name.items()), "")


def convert_command(root: Path) -> str:
    """Return the words that convert an export and write a config for it."""
    name = shlex.quote(f"{root.resolve().name}-converted")
    return f"segdistill convert {shlex.quote(str(root))} --out {name}, then segdistill init {name}"


def what_it_is(root: Path) -> str:
    """Return what a folder of another layout looks like and what reads it, as a clause."""
    try:
        signs = detect(Export(root))
    except DataError:
        signs = ""
    if signs:
        return f"it is an export to convert ({signs}): {convert_command(root)}"
    return f"segdistill init {shlex.quote(str(root))} inspects the folder and writes a config"
