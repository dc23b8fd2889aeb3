"""Confusion matrices of a run: for the whole split, and per image."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdistill.errors import RunFolderError
from segdistill.files import BROKEN_ARRAY, check_ends, write_whole
from segdistill.runs.documents import read_document, write_document
from segdistill.runs.layout import CONFUSION, IMAGE_COUNTS


@dataclass(frozen=True)
class Confusion:
    """``confusion.json``: class names, and counts by true class, then predicted class."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ImageCounts:
    """``confusion_images.npz``: names of the images, and counts (N, K, K) int64."""

    names: tuple[str, ...]
    counts: np.ndarray


def write_confusion(run: Path, confusion: Confusion) -> None:
    """Write ``confusion.json``."""
    write_document(run / CONFUSION, confusion)


def read_confusion(run: Path) -> Confusion | None:
    """Read ``confusion.json``, None if it does not exist.

    Raises:
        RunFolderError: it is broken.
    """
    file = run / CONFUSION
    return read_document(file, Confusion) if file.exists() else None


def write_image_counts(run: Path, images: ImageCounts) -> None:
    """Write ``confusion_images.npz``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, counts=images.counts, names=np.array(images.names))
    write_whole(run / IMAGE_COUNTS, buffer.getvalue())


def read_image_counts(run: Path) -> ImageCounts | None:
    """Read ``confusion_images.npz``, None if it does not exist, as for large splits.

    Raises:
        RunFolderError: it is broken.
    """
    file = run / IMAGE_COUNTS
    if not file.exists():
        return None
    try:
        check_ends(file)
        with np.load(file, allow_pickle=False) as arrays:
            counts, names = arrays["counts"], arrays["names"]
    except BROKEN_ARRAY as error:
        raise RunFolderError(
            f"{file}: expected arrays counts and names, got {error}; restore the file from a copy, "
            "or delete it"
        ) from None
    square = counts.ndim == 3 and counts.shape[1] == counts.shape[2]
    whole = counts.dtype.kind in "iu" and names.ndim == 1
    if not (square and whole) or len(counts) != len(names):
        raise RunFolderError(
            f"{file}: expected counts (N, K, K) and N names, got {counts.dtype} {counts.shape} and "
            f"{names.shape}; "
            "restore the file from a copy, or delete it"
        )
    return ImageCounts(tuple(map(str, names)), counts)
