"""Read only the top rows of a PNG: decoding stops below the crop that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from segdistill.data.files.decoding import check_pixels

Rows = Callable[[tuple[int, int]], int]
"""From the height and width of an image to the number of rows that are needed."""


def read_image_top(path: Path, rows: Rows) -> tuple[np.ndarray, tuple[int, int]] | None:
    """Read the top of an RGB image.

    A PNG is a stream from top to bottom, so what lies above the crop has to be decoded and
    what lies below does not. A file that is cut off below those rows is not noticed.

    Args:
        path: the file.
        rows: returns the number of rows that are needed.

    Shape:
        uint8 ``(rows, W, 3)``.

    Returns:
        The rows, and height and width of the whole image; None if the file is not a
        plain PNG or is broken, and so has to be read as a whole.
    """
    return _read(path, rows, ("RGB", "RGBA"))


def read_mask_top(path: Path, rows: Rows) -> tuple[np.ndarray, tuple[int, int]] | None:
    """Read the top of a mask of 8-bit ids; see :func:`read_image_top`.

    Shape:
        uint8 ``(rows, W)``.
    """
    return _read(path, rows, ("L", "P"))


class _Top(PngImagePlugin.PngImageFile):
    """A PNG of which only the first rows are decoded."""

    def keep(self, rows: int) -> None:
        width = self.width
        self._size = (width, rows)
        self.tile = [tile._replace(extents=(0, 0, width, rows)) for tile in self.tile]


def _read(
    path: Path, rows: Rows, modes: tuple[str, ...]
) -> tuple[np.ndarray, tuple[int, int]] | None:
    if path.suffix.lower() != ".png":
        return None
    try:
        with _Top(path) as picture:
            whole = picture.height, picture.width
            check_pixels(path, *whole)
            turned = any("exif" in str(key).lower() for key in picture.info)
            if picture.mode not in modes or picture.info.get("interlace") or turned:
                return None
            # Pillow scales or cuts values of fewer than 8 bits, and of 16.
            if picture.tile[0].args != picture.mode:
                return None
            picture.keep(min(rows(whole), whole[0]))
            array: np.ndarray = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, IndexError, Image.DecompressionBombError):
        return None
    return (array[..., :3] if array.ndim == 3 else array), whole
