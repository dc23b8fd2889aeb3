"""Kaggle's CamVid and its kind: masks of colours, and ``class_dict.csv`` that names them."""

from __future__ import annotations

from segdistill.data.convert.class_files import read_class_file
from segdistill.data.convert.export import Export
from segdistill.data.convert.pairing import pair_files
from segdistill.data.convert.records import Source
from segdistill.data.convert.stored import from_pairs
from segdistill.errors import DataError


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    if not export.named("class_dict.csv") or not pair_files(export.images).matches:
        return ""
    return f"{export.named('class_dict.csv')[0]} beside images and masks"


def read(export: Export, background: str | None) -> Source:
    """Open an export.

    Args:
        export: the folder.
        background: class of pixels of the colours that mean no class.

    Raises:
        DataError: the class file is missing or broken, or no image has a mask.
    """
    files = export.named("class_dict.csv")
    if not files:
        raise DataError(f"{export.root}: expected class_dict.csv, got none; try --from masks")
    rows = read_class_file(export.root / files[0])
    return from_pairs(export, pair_files(export.images), rows, background)
