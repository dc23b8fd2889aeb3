"""What files say besides their pixels: EXIF notes, range of numbers, palette, transparency."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from segdistill.data.files.contents import tiff_facts
from segdistill.data.files.decoding import may_turn, open_picture, read_bytes
from segdistill.data.files.reading import stored_levels
from segdistill.errors import DataError

_ORIENTATION = 0x0112
_MOST_BYTES = 400_000_000


@dataclass(frozen=True)
class FileFacts:
    """What was found in the files of one sample.

    Attributes:
        image: file of the image.
        mask: file of the mask, or None.
        image_note: EXIF orientation of the image, 1 where it turns nothing.
        mask_note: that of the mask.
        levels: type of the image's numbers, the least and the largest; None for 8 bits.
        transparent: whether a fourth band that is no constant was dropped.
        palette: by id that the mask uses, its colour in the file's palette.
    """

    image: Path
    mask: Path | None
    image_note: int = 1
    mask_note: int = 1
    levels: tuple[str, float, float] | None = None
    transparent: bool = False
    palette: dict[int, tuple[int, int, int]] = field(default_factory=dict)


def file_facts(image: Path, mask: Path | None) -> FileFacts:
    """Return what the files of one sample say; nothing of a file that cannot be read."""
    note, transparent = _image_facts(image)
    mask_note, palette = _mask_facts(mask) if mask is not None else (1, {})
    try:
        levels = stored_levels(image)
    except DataError:
        levels = None
    return FileFacts(image, mask, note, mask_note, levels, transparent, palette)


def _image_facts(path: Path) -> tuple[int, bool]:
    try:
        data = _bytes(path)
        with open_picture(path, data) as picture:
            transparent = picture.mode == "RGBA"
            if transparent:
                transparent = picture.getchannel("A").getextrema() != (255, 255)
            return _note(data, picture), transparent
    except (DataError, OSError, ValueError, SyntaxError):
        return 1, False


def _mask_facts(path: Path) -> tuple[int, dict[int, tuple[int, int, int]]]:
    try:
        data = _bytes(path)
        with open_picture(path, data) as picture:
            palette: dict[int, tuple[int, int, int]] = {}
            if picture.mode == "P":
                table = np.array(picture.getpalette() or [], dtype=np.uint8).reshape(-1, 3)
                used = np.unique(np.asarray(picture))
                for stored in (int(i) for i in used if i < len(table)):
                    red, green, blue = map(int, table[stored])
                    palette[stored] = (red, green, blue)
            return _note(data, picture), palette
    except (DataError, OSError, ValueError, SyntaxError):
        return 1, {}


def _note(data: np.ndarray, picture: Image.Image) -> int:
    facts = tiff_facts(data)
    if facts is not None:
        return facts.orientation
    # Pillow decodes a whole PNG in search of a note at its end.
    if picture.format == "PNG" and not may_turn(data):
        return 1
    return int(picture.getexif().get(_ORIENTATION, 1))


def _bytes(path: Path) -> np.ndarray:
    if path.stat().st_size > _MOST_BYTES:
        raise OSError(f"{path} is large")
    return read_bytes(path)
