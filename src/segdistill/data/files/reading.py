"""Image files as RGB arrays: every failure names its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import ImageOps
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image

from segdistill.data.files.contents import TiffFacts
from segdistill.data.files.decoding import (
    check_header,
    check_one_frame,
    is_jpeg,
    open_picture,
    png_depth,
    read_bytes,
    unreadable,
)
from segdistill.data.files.pixels import AS_STORED, Pixels, to_rgb
from segdistill.data.files.wide_tiff import pillow_drops, read_tifffile
from segdistill.errors import DataError

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".gif", ".tif", ".tiff",
        ".webp", ".avif", ".ppm", ".pgm", ".pbm", ".pnm",
    }
)  # fmt: skip
"""Extensions, in lower case, that folders are searched for."""


def read_image(path: Path, how: Pixels = AS_STORED) -> np.ndarray:
    """Read an image as its viewer shows it: RGB, upright.

    Greyscale, palette, CMYK and high-bit files become 8-bit RGB, transparency is dropped, and
    the orientation that a camera noted in EXIF is applied.

    Args:
        path: the file.
        how: range of high-bit numbers, and which bands are read.

    Shape:
        Result uint8 ``(H, W, 3)``.

    Raises:
        DataError: the file is missing, empty, cut off or no image, has several pages, more
            bands than are known, or numbers of unknown range; it is named.
    """
    return image_from_bytes(read_bytes(path), path, how)


def image_from_bytes(data: np.ndarray, path: Path, how: Pixels = AS_STORED) -> np.ndarray:
    """Decode the content of an image file; see :func:`read_image`.

    Args:
        data: the file's bytes, uint8.
        path: what messages call it.
        how: range of high-bit numbers, and which bands are read.

    Raises:
        DataError: as for :func:`read_image`.
    """
    facts = check_header(data, path)
    if how.bands is None and (is_jpeg(data) or png_depth(data)[0] in (1, 2, 4, 8)):
        return _channels_last(_decode(data, path, ImageReadMode.RGB))
    if facts is not None and how.bands is None:
        _check_bands(facts, path)
    return to_rgb(_stored(data, path, facts, how), path, how)


def _stored(data: np.ndarray, path: Path, facts: TiffFacts | None, how: Pixels) -> np.ndarray:
    """Return the numbers of an image as stored, upright, ``(H, W, bands)``."""
    if png_depth(data) in _WIDE_COLOR_PNGS:
        return _channels_last(_decode(data, path, ImageReadMode.UNCHANGED))
    if facts is not None and pillow_drops(facts, how):
        return read_tifffile(data, path, facts)
    with open_picture(path, data) as picture:
        check_one_frame(picture, path)
        try:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode == "F" or upright.mode.startswith("I"):
                wide = np.asarray(upright)
                wide = wide.astype(wide.dtype.newbyteorder("="))
                if picture.format == "PPM":  # Pillow scales the file's own maximum to 65535
                    wide = wide.astype(np.uint16)
                if facts is not None and facts.photometric == 0 and wide.dtype == np.uint16:
                    wide = np.iinfo(np.uint16).max - wide
                return wide[:, :, None]
            if upright.mode in ("L", "LA", "RGBA") and how.bands is not None:
                stored = np.array(upright)
                return stored if stored.ndim == 3 else stored[:, :, None]
            return np.array(upright.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise unreadable(path, error) from error


def _decode(data: np.ndarray, path: Path, mode: ImageReadMode) -> Tensor:
    try:
        image: Tensor = decode_image(torch.from_numpy(data), mode=mode, apply_exif_orientation=True)
    except RuntimeError as error:
        raise unreadable(path, error) from error
    return image


def _check_bands(facts: TiffFacts, path: Path) -> None:
    """Refuse bands of which nothing says whether they are colours."""
    plain = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}.get(facts.photometric, 3)
    alpha = facts.bands == plain + 1 and facts.extra[:1] in ((1,), (2,))
    if facts.kind == "complex numbers":
        raise DataError(f"{path}: expected real numbers, got complex ones; store their magnitude")
    if facts.bands != plain and not alpha:
        raise DataError(
            f"{path}: expected 1 or 3 bands, got {facts.bands} of {facts.bits} bits; set "
            "data.bands, such as data.bands=[0, 1, 2], to say which are red, green and blue"
        )


_WIDE_COLOR_PNGS = ((16, 2), (16, 4), (16, 6))  # bits and kind: RGB, grey and RGB with alpha


def stored_levels(path: Path) -> tuple[str, float, float] | None:
    """Return type, least and largest of an image's numbers; None if they have 8 bits.

    Raises:
        DataError: the file cannot be read; it is named.
    """
    data = read_bytes(path)
    facts = check_header(data, path)
    if is_jpeg(data) or 0 < png_depth(data)[0] <= 8 or (facts is not None and facts.bits <= 8):
        return None
    stored = _stored(data, path, facts, AS_STORED)
    if stored.dtype == np.uint8:
        return None
    return str(stored.dtype), float(np.nanmin(stored)), float(np.nanmax(stored))


def _channels_last(image: Tensor) -> np.ndarray:
    array: np.ndarray = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return array
