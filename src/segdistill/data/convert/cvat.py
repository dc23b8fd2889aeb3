"""CVAT "Segmentation mask 1.1": ``SegmentationClass`` in the colours of ``labelmap.txt``."""

from __future__ import annotations

from segdistill.data.convert.class_files import read_class_file
from segdistill.data.convert.export import Export
from segdistill.data.convert.records import Source
from segdistill.data.convert.stored import from_pairs
from segdistill.data.convert.voc_tree import has_masks, pair_tree
from segdistill.errors import DataError

_CLASSES = "labelmap.txt"


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    return f"{_CLASSES} with {has_masks(export)}/" if _complete(export) else ""


def read(export: Export, background: str | None) -> Source:
    """Open an export; ``background`` of the label map is a class.

    Args:
        export: the folder.
        background: class of pixels of labels that mean no class.

    Raises:
        DataError: masks, images or the label map are missing.

    Source:
        https://docs.cvat.ai/docs/dataset_management/formats/format-smask/
    """
    if not _complete(export):
        raise DataError(
            f"{export.root}: expected {_CLASSES} and SegmentationClass/, got "
            f"{', '.join(file.name for file in export.files[:3]) or 'nothing'}"
        )
    pairing = pair_tree(export)
    if not pairing.matches:
        raise DataError(
            f"{export.root}: expected JPEGImages/ beside SegmentationClass/, got no image with "
            "the name of a mask; export with 'Save images', or copy the images there"
        )
    rows = read_class_file(export.root / export.named(_CLASSES)[0])
    return from_pairs(export, pairing, rows, background)


def _complete(export: Export) -> bool:
    return bool(export.named(_CLASSES) and has_masks(export))
