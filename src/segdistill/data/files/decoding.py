"""Bytes of picture files: read, checked before they are decoded, and opened."""

from __future__ import annotations

import io
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from segdistill.data.files.contents import TiffFacts, refuse_foreign, tiff_facts
from segdistill.errors import DataError
from segdistill.files import check_ends

MOST_MEGAPIXELS = 200.0
"""Largest image that is decoded, unless ``SEGDISTILL_MAX_MEGAPIXELS`` is set."""


_LIMIT = "SEGDISTILL_MAX_MEGAPIXELS"

# By process: a fork must not inherit a lock that another thread holds.
_LOCKS = dict[int, threading.Lock]()


def check_one_frame(picture: Image.Image, path: Path) -> None:
    """Refuse an animation."""
    # The pages of a TIFF were counted before: some are smaller copies of others.
    if picture.format in ("GIF", "WEBP", "AVIF") and getattr(picture, "is_animated", False):
        raise DataError(
            f"{path}: expected one picture, got an animation; store the intended frame, or each "
            "frame, as a separate file"
        )


def stored_size(path: Path) -> tuple[int, int]:
    """Return ``(height, width)`` of a file as stored, before EXIF, without decoding it.

    Raises:
        DataError: the file is missing or no image; it is named.
    """
    with open_picture(path, read_bytes(path)) as picture:
        return picture.height, picture.width


def check_pixels(path: Path, height: int, width: int) -> None:
    """Refuse an image that is too large to be meant, before any of it is decoded.

    A file of a few hundred kilobytes can contain gigapixels of one colour.

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


def check_header(data: np.ndarray, path: Path) -> TiffFacts | None:
    """Refuse what a file's first bytes tell to be no image, too large, or several images."""
    _check_not_empty(data, path)
    refuse_foreign(data, path)
    facts = tiff_facts(data)
    if facts is not None:
        check_pixels(path, facts.height, facts.width)
        if facts.pages > 1:
            raise DataError(
                f"{path}: expected one picture, got a TIFF of {facts.pages} pages; store the "
                "intended page, or each page, as a separate file"
            )
    if png_depth(data)[0]:
        width, height = struct.unpack(">II", data[16:24].tobytes())
        check_pixels(path, height, width)
    elif facts is None:
        with open_picture(path, data):
            pass
    return facts


def is_jpeg(data: np.ndarray) -> bool:
    """Return whether a file begins as a JPEG does."""
    return data[:3].tobytes() == b"\xff\xd8\xff"


def png_depth(data: np.ndarray) -> tuple[int, int]:
    """Return bits a channel and the kind of colour from a PNG's header; zeros for others."""
    if len(data) < 26 or data[:8].tobytes() != b"\x89PNG\r\n\x1a\n":
        return 0, 0
    return int(data[24]), int(data[25])


def read_bytes(path: Path) -> np.ndarray:
    """Return the bytes of a file, uint8.

    Raises:
        DataError: it is missing, empty, a folder, or cannot be read.
    """
    try:
        check_ends(path)
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected an image file, got nothing; was it removed?") from error
    except OSError as error:
        kind = "a folder" if path.is_dir() else f"{error.strerror or error}"
        raise DataError(f"{path}: expected an image file, got {kind}") from error
    _check_not_empty(data, path)
    return data


def _check_not_empty(data: np.ndarray, path: Path) -> None:
    if data.size == 0:
        raise DataError(f"{path}: expected an image file, got 0 bytes; copy it again")


def open_picture(path: Path, data: np.ndarray) -> Image.Image:
    """Open a picture with Pillow, which reads its header alone, but large TIFFs whole.

    Raises:
        DataError: it is no picture, or too large to be meant.
    """
    try:
        with _without_pillows_limit():
            picture = Image.open(io.BytesIO(data.tobytes()))
    except (OSError, ValueError, SyntaxError) as error:
        raise unreadable(path, error) from error
    check_pixels(path, picture.height, picture.width)
    limit = Image.MAX_IMAGE_PIXELS
    if picture.format == "TIFF" and limit and picture.height * picture.width > limit:
        try:
            with _without_pillows_limit():
                picture.load()  # meets the limit a second time, on the size of a strip
        except (OSError, ValueError, SyntaxError) as error:
            raise unreadable(path, error) from error
    return picture


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Leave the refusal to :func:`check_pixels`; Pillow's own limit is one for all threads."""
    with _LOCKS.setdefault(os.getpid(), threading.Lock()):
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the refusal of a file that a decoder failed on, with the decoder's reason."""
    # torchvision puts its own source file in front; the reason stands after it.
    reason = re.sub(r"^.*\.cpp:\d+,?\s*", "", str(error).strip().split("\n")[0])
    reason = re.sub(r" ?<_io.BytesIO.*>", "", reason)[:120]
    return DataError(
        f"{path}: expected a readable image, got one that is cut off or broken ({reason}); "
        "copy it again"
    )


def may_turn(png: np.ndarray) -> bool:
    """Return whether a PNG may contain an EXIF note, in either of the forms in use."""
    data = png.tobytes()
    return b"eXIf" in data or b"Raw profile type exif" in data
