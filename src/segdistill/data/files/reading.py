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

from segdistill.data.files.contents import TiffFacts, lossy_codec, refuse_foreign, tiff_facts
from segdistill.data.files.pixels import AS_STORED, Pixels, to_rgb
from segdistill.errors import DataError
from segdistill.files import check_ends

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".gif", ".tif", ".tiff",
        ".webp", ".avif", ".ppm", ".pgm", ".pbm", ".pnm",
    }
)  # fmt: skip
"""Extensions, in lower case, that folders are searched for."""

MOST_MEGAPIXELS = 200.0
"""Largest image that is decoded; the environment's ``SEGDISTILL_MAX_MEGAPIXELS`` says another."""
_LIMIT = "SEGDISTILL_MAX_MEGAPIXELS"


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
    return image_from_bytes(_read_bytes(path), path, how)


def image_from_bytes(data: np.ndarray, path: Path, how: Pixels = AS_STORED) -> np.ndarray:
    """Decode the content of an image file; see :func:`read_image`.

    Args:
        data: the file's bytes, uint8.
        path: what messages call it.
        how: range of high-bit numbers, and which bands are read.

    Raises:
        DataError: as for :func:`read_image`.
    """
    facts = _check_header(data, path)
    if how.bands is None and (_is_jpeg(data) or _png_depth(data)[0] in (1, 2, 4, 8)):
        return _channels_last(_decode(data, path, ImageReadMode.RGB))
    if facts is not None and how.bands is None:
        _check_bands(facts, path)
    return to_rgb(_stored(data, path, facts, how), path, how)


def _stored(data: np.ndarray, path: Path, facts: TiffFacts | None, how: Pixels) -> np.ndarray:
    """Return the numbers of an image as stored, upright, ``(H, W, bands)``."""
    if _png_depth(data) in _WIDE_COLOR_PNGS:
        return _channels_last(_decode(data, path, ImageReadMode.UNCHANGED))
    if facts is not None and _pillow_drops(facts, how):
        return _read_tifffile(data, path, facts)
    with _open(path, data) as picture:
        _check_one_frame(picture, path)
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
            raise _unreadable(path, error) from error


def _decode(data: np.ndarray, path: Path, mode: ImageReadMode) -> Tensor:
    try:
        image: Tensor = decode_image(torch.from_numpy(data), mode=mode, apply_exif_orientation=True)
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    return image


def _check_bands(facts: TiffFacts, path: Path) -> None:
    """Refuse bands of which nothing says whether they are colours."""
    plain = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}.get(facts.photometric, 3)
    alpha = facts.bands == plain + 1 and facts.extra[:1] in ((1,), (2,))
    if facts.kind == "complex numbers":
        raise DataError(f"{path}: expected real numbers, got complex ones; store their size")
    if facts.bands != plain and not alpha:
        raise DataError(
            f"{path}: expected 1 or 3 bands, got {facts.bands} of {facts.bits} bits; set "
            "data.bands, such as data.bands=[0, 1, 2], to say which are red, green and blue"
        )


def _pillow_drops(facts: TiffFacts, how: Pixels) -> bool:
    """Return whether Pillow refuses a TIFF or gives less than what it stores."""
    if facts.bands == 1:
        return facts.bits == 64 or (facts.kind == "floats" and facts.bits != 32)
    if facts.bits == 8 and facts.kind == "whole numbers":
        grey = facts.photometric in (0, 1)
        return (grey and facts.bands > 2) or (how.bands is not None and max(how.bands) > 2)
    return facts.bits > 8


def _read_tifffile(data: np.ndarray, path: Path, facts: TiffFacts) -> np.ndarray:
    kind = f"{facts.bands} × {facts.bits}-bit {facts.kind} a pixel"
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
        raise _unreadable(path, error) from error
    stored = np.moveaxis(stored, 0, -1) if separate and stored.ndim == 3 else stored
    stored = stored[:, :, None] if stored.ndim == 2 else stored
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
_WIDE_COLOR_PNGS = ((16, 2), (16, 4), (16, 6))  # bits and kind: RGB, grey and RGB with alpha


def read_mask(path: Path, *, colors: bool = False) -> np.ndarray:
    """Read a mask file with the values that it stores.

    Palette files give their ids, unless colours are asked for; 1-bit files give 0 and 1, where
    1 is what a viewer shows white; 16-bit files keep their range; a TIFF whose 0 is shown white
    gives what it stores; transparency is dropped, and an EXIF note turns it as it does images.
    MATLAB files are those of SBD (``GTcls``), Pascal Context (``LabelMap``) and COCO-Stuff
    (``S``), which need scipy.

    Args:
        path: the file.
        colors: give the colours that the ids of a palette file stand for.

    Shape:
        Result ``(H, W)`` uint8 or int32, or ``(H, W, 3)`` uint8 for a file of colours.

    Raises:
        DataError: the file is missing, empty, cut off or no image, has several pages, or was
            written by a codec that changes values; it is named.
    """
    data = _read_bytes(path)
    if path.suffix == ".mat":
        return _read_matlab(path)
    return mask_from_bytes(data, path, colors=colors)


def mask_from_bytes(data: np.ndarray, path: Path, *, colors: bool = False) -> np.ndarray:
    """Decode the content of a mask file that is no MATLAB file; see :func:`read_mask`.

    Args:
        data: the file's bytes, uint8.
        path: what messages call it.
        colors: give the colours that the ids of a palette file stand for.

    Raises:
        DataError: as for :func:`read_mask`.
    """
    facts = _check_header(data, path)
    codec = lossy_codec(data)
    if codec:
        raise DataError(
            f"{path}: expected a mask without loss, got {codec}, which blurs ids into others; "
            "store masks as PNG, drawn anew: converting this file does not bring them back"
        )
    depth, kind = _png_depth(data)
    # Greyscale (0) or palette (3) with 8 bits: torchvision scales fewer bits up to 255, and
    # does not turn masks.
    if depth == 8 and kind in (0, 3) and not may_turn(data) and not (colors and kind == 3):
        try:
            ids = decode_image(torch.from_numpy(data), mode=ImageReadMode.UNCHANGED)
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        if ids.shape[0] == 1:
            stored: np.ndarray = ids[0].numpy()
            return stored
    if facts is not None:
        _check_mask_bands(facts, path)
        if _pillow_drops(facts, AS_STORED):
            wide = _read_tifffile(data, path, facts)
            return wide[..., 0].astype(np.int32) if wide.shape[2] == 1 else wide[..., :3]
    with _open(path, data) as picture:
        _check_one_frame(picture, path)
        try:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode == "P" and colors:
                return np.array(upright.convert("RGB"))
            if upright.mode in ("1", "L", "P"):
                ids = np.array(upright).astype(np.uint8)
                if facts is not None and facts.photometric == 0 and upright.mode == "L":
                    # Pillow gives what is shown.
                    white = 2**facts.bits - 1
                    return np.asarray(white - ids // (255 // white), dtype=np.uint8)
                # Pillow scales 2 and 4 bits of grey up to 255 as well.
                return ids // (255 // (2**depth - 1)) if kind == 0 and depth in (2, 4) else ids
            if upright.mode.startswith("I"):
                return np.array(upright).astype(np.int32)
            if upright.mode == "LA":
                return np.array(upright.getchannel("L"))
            if upright.mode in ("CMYK", "YCbCr", "LAB", "HSV", "F"):
                raise DataError(
                    f"{path}: expected a mask of whole numbers or RGB colours, got "
                    f"{'floats' if upright.mode == 'F' else upright.mode}; store ids as 8-bit PNG"
                )
            return np.array(upright.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise _unreadable(path, error) from error


def _check_one_frame(picture: Image.Image, path: Path) -> None:
    # The pages of a TIFF were counted before: some are smaller copies of others.
    if picture.format in ("GIF", "WEBP", "AVIF") and getattr(picture, "is_animated", False):
        raise DataError(
            f"{path}: expected one picture, got an animation; store the frame that is meant, or "
            "each frame, as a file of its own"
        )


def _check_mask_bands(facts: TiffFacts, path: Path) -> None:
    if facts.kind in ("floats", "complex numbers") or (facts.bands > 1 and facts.bits > 8):
        raise DataError(
            f"{path}: expected a mask of whole numbers or 8-bit RGB colours, got "
            f"{facts.bands} × {facts.bits}-bit {facts.kind} a pixel; store ids as 8-bit PNG"
        )
    if facts.bands not in (1, 3, 4) and not (facts.bands == 2 and facts.extra[:1] in ((1,), (2,))):
        raise DataError(
            f"{path}: expected a mask of one band or RGB colours, got {facts.bands} bands; store "
            "the band of the ids as 8-bit PNG"
        )


def stored_levels(path: Path) -> tuple[str, float, float] | None:
    """Return type, least and largest of an image's numbers; None where they have 8 bits.

    Raises:
        DataError: the file cannot be read; it is named.
    """
    data = _read_bytes(path)
    facts = _check_header(data, path)
    if _is_jpeg(data) or 0 < _png_depth(data)[0] <= 8 or (facts is not None and facts.bits <= 8):
        return None
    stored = _stored(data, path, facts, AS_STORED)
    if stored.dtype == np.uint8:
        return None
    return str(stored.dtype), float(np.nanmin(stored)), float(np.nanmax(stored))


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


def _check_header(data: np.ndarray, path: Path) -> TiffFacts | None:
    """Refuse what a file's first bytes tell to be no image, too large, or several images."""
    _check_not_empty(data, path)
    refuse_foreign(data, path)
    facts = tiff_facts(data)
    if facts is not None:
        check_pixels(path, facts.height, facts.width)
        if facts.pages > 1:
            raise DataError(
                f"{path}: expected one picture, got a TIFF of {facts.pages} pages; store the page "
                "that is meant, or each page, as a file of its own"
            )
    if _png_depth(data)[0]:
        width, height = struct.unpack(">II", data[16:24].tobytes())
        check_pixels(path, height, width)
    elif facts is None:
        with _open(path, data):
            pass
    return facts


def may_turn(png: np.ndarray) -> bool:
    """Return whether a PNG may hold an EXIF note, in either form that is written."""
    data = png.tobytes()
    return b"eXIf" in data or b"Raw profile type exif" in data


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
        check_ends(path)
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
