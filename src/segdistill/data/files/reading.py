"""Image and mask files as arrays: every failure names its file."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image

from segdistill.errors import DataError

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".gif", ".tif", ".tiff",
        ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
    }
)  # fmt: skip
"""Extensions, in lower case, that folders are searched for."""

MOST_MEGAPIXELS = 200.0
"""Largest image that is decoded; the environment's ``SEGDISTILL_MAX_MEGAPIXELS`` says another."""
_LIMIT = "SEGDISTILL_MAX_MEGAPIXELS"


def read_image(path: Path) -> np.ndarray:
    """Read an image as its viewer shows it: RGB, upright.

    Greyscale, palette, CMYK and 16-bit files become 8-bit RGB, transparency is dropped, and
    the orientation that a camera noted in EXIF is applied.

    Args:
        path: the file.

    Shape:
        Result uint8 ``(H, W, 3)``.

    Raises:
        DataError: the file is missing, empty, cut off or no image; it is named.
    """
    return image_from_bytes(_read_bytes(path), path)


def image_from_bytes(data: np.ndarray, path: Path) -> np.ndarray:
    """Decode the content of an image file; see :func:`read_image`.

    Args:
        data: the file's bytes, uint8.
        path: what messages call it.

    Raises:
        DataError: the content is empty, cut off or no image; it is named.
    """
    _check_not_empty(data, path)
    _check_header(data, path)
    # 16-bit PNGs come out of torchvision as uint16 that numpy cannot scale without a copy.
    if _is_jpeg(data) or _png_depth(data)[0] in (1, 2, 4, 8):
        try:
            image = decode_image(
                torch.from_numpy(data), mode=ImageReadMode.RGB, apply_exif_orientation=True
            )
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        return _channels_last(image)
    with _open(path, data) as picture:
        try:
            upright = ImageOps.exif_transpose(picture)
            _refuse_float(upright, path)
            if upright.mode.startswith("I"):
                wide = np.asarray(upright).astype(np.float64)
                # Files of 32 bits do not say what is white.
                wide_range = upright.mode != "I" or wide.max(initial=0) > 255
                top = 65535.0 if wide_range else 255.0
                grey = np.clip(wide * (255.0 / top) + 0.5, 0, 255).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.array(upright.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise _unreadable(path, error) from error


def read_mask(path: Path) -> np.ndarray:
    """Read a mask file with the values that it stores.

    Palette files give their ids, not their colours; 1-bit files give 0 and 1; 16-bit files
    keep their range; transparency is dropped, and an EXIF note turns it as it does images.
    MATLAB files are those of SBD (``GTcls``),
    Pascal Context (``LabelMap``) and COCO-Stuff (``S``), which need scipy.

    Args:
        path: the file.

    Shape:
        Result ``(H, W)`` uint8 or int32, or ``(H, W, 3)`` uint8 for a file of colours.

    Raises:
        DataError: the file is missing, empty, cut off, a JPEG or no image; it is named.
    """
    data = _read_bytes(path)
    if path.suffix == ".mat":
        return _read_matlab(path)
    return mask_from_bytes(data, path)


def mask_from_bytes(data: np.ndarray, path: Path) -> np.ndarray:
    """Decode the content of a mask file that is no MATLAB file; see :func:`read_mask`.

    Args:
        data: the file's bytes, uint8.
        path: what messages call it.

    Raises:
        DataError: the content is empty, cut off, a JPEG or no image; it is named.
    """
    _check_not_empty(data, path)
    if _is_jpeg(data):
        raise DataError(
            f"{path}: expected a mask without loss, got a JPEG, which blurs ids into others; "
            "store masks as PNG"
        )
    _check_header(data, path)
    depth, kind = _png_depth(data)
    # Greyscale (0) or palette (3) with 8 bits: torchvision scales fewer bits up to 255, and
    # does not turn masks.
    if depth == 8 and kind in (0, 3) and not _may_turn(data):
        try:
            ids = decode_image(torch.from_numpy(data), mode=ImageReadMode.UNCHANGED)
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        if ids.shape[0] == 1:
            stored: np.ndarray = ids[0].numpy()
            return stored
    with _open(path, data) as picture:
        try:
            upright = ImageOps.exif_transpose(picture)
            _refuse_float(upright, path)
            if upright.mode in ("1", "L", "P"):
                ids = np.array(upright).astype(np.uint8)
                # Pillow scales 2 and 4 bits of grey up to 255 as well.
                return ids // (255 // (2**depth - 1)) if kind == 0 and depth in (2, 4) else ids
            if upright.mode.startswith("I"):
                return np.array(upright).astype(np.int32)
            if upright.mode == "LA":
                return np.array(upright.getchannel("L"))
            return np.array(upright.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise _unreadable(path, error) from error


def stored_size(path: Path) -> tuple[int, int]:
    """Return ``(height, width)`` of a file as stored, before EXIF, without decoding it.

    Raises:
        DataError: the file is missing or no image; it is named.
    """
    with _open(path, _read_bytes(path)) as picture:
        return picture.height, picture.width


def check_pixels(path: Path, height: int, width: int) -> None:
    """Refuse an image that is too large to be meant, before any of it is decoded.

    A file of a few hundred kilobytes can hold gigapixels of one colour.

    Raises:
        DataError: it has more than ``MOST_MEGAPIXELS``, or what the environment says.
        ValueError: the environment says something that is no number above 0.
    """
    megapixels = height * width / 1e6
    if megapixels > _most_megapixels():
        raise DataError(
            f"{path}: expected an image of at most {_most_megapixels():g} megapixels, got "
            f"{width}×{height}, {megapixels:.0f} megapixels; cut it into tiles, or set "
            f"{_LIMIT}={megapixels:.0f} in the environment if you trust the file"
        )


def _most_megapixels() -> float:
    text = os.environ.get(_LIMIT, str(MOST_MEGAPIXELS))
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise ValueError(f"{_LIMIT}: expected a number above 0, got {text!r}; correct or unset it")
    return limit


def _check_header(data: np.ndarray, path: Path) -> None:
    """Check the size that a file's header tells, before torchvision decodes it."""
    if _png_depth(data)[0]:
        width, height = struct.unpack(">II", data[16:24].tobytes())
        check_pixels(path, height, width)
    elif _is_jpeg(data):
        with _open(path, data):
            pass


def _may_turn(png: np.ndarray) -> bool:
    """Return whether a PNG may hold an EXIF note, in either form that is written."""
    data = png.tobytes()
    return b"eXIf" in data or b"Raw profile type exif" in data


def _refuse_float(picture: Image.Image, path: Path) -> None:
    # Pillow would cut fractions off, so that an image of 0 to 1 becomes black.
    if picture.mode == "F":
        raise DataError(f"{path}: expected whole numbers, got floats; store 8 or 16 bits")


def _is_jpeg(data: np.ndarray) -> bool:
    return data[:3].tobytes() == b"\xff\xd8\xff"


def _png_depth(data: np.ndarray) -> tuple[int, int]:
    """Return bits a channel and the kind of colour from a PNG's header; zeros for others."""
    if len(data) < 26 or data[:8].tobytes() != b"\x89PNG\r\n\x1a\n":
        return 0, 0
    return int(data[24]), int(data[25])


def _read_matlab(path: Path) -> np.ndarray:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DataError(f"{path}: expected scipy to read it; pip install scipy") from error
    try:
        content = loadmat(path, variable_names=("GTcls", "LabelMap", "S"))
        for name in ("LabelMap", "S"):
            if name in content:
                stored: np.ndarray = content[name].astype(np.int32)
                return stored
        segmentation: np.ndarray = content["GTcls"]["Segmentation"][0, 0]
        return segmentation.astype(np.int32)
    except Exception as error:  # scipy raises whatever its parser meets in a broken file
        raise _unreadable(path, error) from error


def _read_bytes(path: Path) -> np.ndarray:
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected an image file, got nothing; is it gone?") from error
    except OSError as error:
        kind = "a folder" if path.is_dir() else f"{error.strerror or error}"
        raise DataError(f"{path}: expected an image file, got {kind}") from error
    _check_not_empty(data, path)
    return data


def _check_not_empty(data: np.ndarray, path: Path) -> None:
    if data.size == 0:
        raise DataError(f"{path}: expected an image file, got 0 bytes; copy it again")


def _open(path: Path, data: np.ndarray) -> Image.Image:
    try:
        with _without_pillows_limit():
            picture = Image.open(io.BytesIO(data.tobytes()))
    except (OSError, ValueError, SyntaxError) as error:
        raise _unreadable(path, error) from error
    check_pixels(path, picture.height, picture.width)
    return picture


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Leave the refusal to :func:`check_pixels`; Pillow's own limit cannot be set from here."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _unreadable(path: Path, error: Exception) -> DataError:
    # torchvision puts its own source file in front; the reason stands after it.
    reason = re.sub(r"^.*\.cpp:\d+,?\s*", "", str(error).strip().split("\n")[0])
    reason = re.sub(r" ?<_io.BytesIO.*>", "", reason)[:120]
    return DataError(
        f"{path}: expected a readable image, got one that is cut off or broken ({reason}); "
        "copy it again"
    )


def _channels_last(image: Tensor) -> np.ndarray:
    array: np.ndarray = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return array
