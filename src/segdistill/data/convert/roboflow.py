"""Roboflow "Semantic Segmentation Masks": ``a.jpg``, ``a_mask.png`` and ``_classes.csv``."""

from __future__ import annotations

from segdistill.data.convert.class_files import read_class_file
from segdistill.data.convert.export import Export
from segdistill.data.convert.pairing import pair_files
from segdistill.data.convert.records import Source
from segdistill.data.convert.stored import from_pairs
from segdistill.errors import DataError

_CLASSES = "_classes.csv"


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    files = export.named(_CLASSES)
    masks = [file for file in export.images if file.stem.endswith("_mask")]
    return f"{files[0]} beside *_mask.png" if files and masks else ""


def read(export: Export, background: str | None) -> Source:
    """Open an export; each split has its own class file, and all have to agree.

    Args:
        export: the folder.
        background: class of pixels with 255.

    Raises:
        DataError: the class files are missing, broken or differ, or no image has a mask.
    """
    files = export.named(_CLASSES)
    if not files:
        raise DataError(f"{export.root}: expected {_CLASSES}, got none; try --from masks")
    rows = read_class_file(export.root / files[0])
    for file in files[1:]:
        if read_class_file(export.root / file) != rows:
            raise DataError(
                f"{export.root / file}: expected the classes of {files[0]}, got others; "
                "export all splits in one version"
            )
    return from_pairs(export, pair_files(export.images), rows, background)
