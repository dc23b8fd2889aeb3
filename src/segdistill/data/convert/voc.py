"""A folder in the layout of Pascal VOC, with its own class names."""

from __future__ import annotations

from segdistill.data.convert.class_files import find_class_file, read_class_file
from segdistill.data.convert.export import Export
from segdistill.data.convert.records import Source
from segdistill.data.convert.stored import from_pairs
from segdistill.data.convert.voc_tree import IMAGES, has_masks, pair_tree
from segdistill.errors import DataError


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    folder = has_masks(export)
    with_images = any(IMAGES in file.parts for file in export.images)
    of_cvat = export.named("labelmap.txt")
    return f"{IMAGES}/ with {folder}/" if folder and with_images and not of_cvat else ""


def read(export: Export, background: str | None) -> Source:
    """Open a folder; masks contain ids in the order of the class file, or its colours.

    Args:
        export: the folder.
        background: class of the pixels with 255, which are the borders of VOC.

    Raises:
        DataError: there is no class file, no mask, or no image of a mask.
    """
    file = find_class_file(export)
    if file is None:
        raise DataError(
            f"{export.root}: expected a file of class names, got none; write classes.txt with one "
            "name per line in the order of the ids, or train on VOC's own 21 classes with "
            "data.dataset=voc, which needs no conversion"
        )
    rows = read_class_file(export.root / file)
    return from_pairs(export, pair_tree(export), rows, background, notes=[f"classes of {file}"])
