"""TIFF files that Pillow refuses, or of which it drops what they store."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from segdistill.data.files.contents import TiffFacts
from segdistill.data.files.decoding import unreadable
from segdistill.data.files.pixels import Pixels
from segdistill.errors import DataError


def pillow_drops(facts: TiffFacts, how: Pixels) -> bool:
    """Return whether Pillow refuses a TIFF or gives less than what it stores."""
    if facts.bands == 1:
        return facts.bits == 64 or (facts.kind == "floats" and facts.bits != 32)
    if facts.bits == 8 and facts.kind == "whole numbers":
        grey = facts.photometric in (0, 1)
        return (grey and facts.bands > 2) or (how.bands is not None and max(how.bands) > 2)
    return facts.bits > 8


def read_tifffile(data: np.ndarray, path: Path, facts: TiffFacts) -> np.ndarray:
    """Return the numbers of a TIFF as stored, upright, ``(H, W, bands)``.

    Raises:
        DataError: tifffile, or a codec that it needs, is missing, or the file is broken.
    """
    kind = f"{facts.bands} × {facts.bits}-bit {facts.kind} per pixel"
    try:
        import tifffile
    except ImportError as error:
        raise _needs_tiff(path, kind) from error
    try:
        page = tifffile.TiffFile(io.BytesIO(data.tobytes())).pages.first
        stored = np.asarray(page.asarray())
        separate = page.axes.startswith("S")
    except Exception as error:  # tifffile and its codecs raise whatever they meet
        if "imagecodecs" in str(error):
            raise _needs_tiff(path, f"{kind}, compressed") from error
        raise unreadable(path, error) from error
    stored = np.moveaxis(stored, 0, -1) if separate and stored.ndim == 3 else stored
    stored = stored[:, :, None] if stored.ndim == 2 else stored
    if stored.ndim != 3 or not stored.size:
        raise unreadable(path, ValueError(f"its values have the shape {stored.shape}"))
    turns, mirrored = _TURNS.get(facts.orientation, (0, False))
    stored = stored[:, ::-1] if mirrored else stored
    return np.ascontiguousarray(np.rot90(stored, turns))


def _needs_tiff(path: Path, kind: str) -> DataError:
    return DataError(
        f"{path}: expected what Pillow can read, got a TIFF with {kind}; pip install "
        "'segdistill[tiff]', or store 8 bits, or 16 bits in one band"
    )


# By EXIF number: quarter turns to the left that make it upright, after mirroring left to right.
_TURNS = {
    2: (0, True), 3: (2, False), 4: (2, True), 5: (1, True), 6: (3, False), 7: (3, True),
    8: (1, False),
}  # fmt: skip
