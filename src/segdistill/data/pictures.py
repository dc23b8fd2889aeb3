"""Images and masks as files that a person looks at."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from segdistill.files import write_whole
from segdistill.types import Classes


def colorize(mask: np.ndarray, classes: Classes) -> np.ndarray:
    """Return a mask as a picture in its classes' colours.

    Args:
        mask: class ids; 255, and every other value that is not a class, becomes black.
        classes: names and colours.

    Shape:
        mask ``(H, W)`` of whole numbers; result uint8 RGB ``(H, W, 3)``.
    """
    table = np.zeros((256, 3), dtype=np.uint8)
    table[: len(classes)] = classes.colors
    picture: np.ndarray = table[np.asarray(mask).astype(np.uint8, copy=False)]
    return picture


def write_image(
    path: Path, image: np.ndarray, *, quality: int = 90, made_by: str | None = None
) -> None:
    """Write an image, JPEG or PNG by the path's extension, whole or not at all.

    Args:
        path: where to; missing folders are made, since names of images may contain some.
        image: RGB, grey, or ids.
        quality: JPEG quality, 1 to 95.
        made_by: see :func:`segdistill.files.write_whole`.

    Shape:
        image uint8 RGB ``(H, W, 3)``, or ``(H, W)`` for grey and ids.
    """
    write_picture(path, Image.fromarray(image), quality=quality, made_by=made_by)


def encode_jpeg(image: np.ndarray, *, quality: int = 92) -> bytes:
    """Return an image as a JPEG's bytes.

    Shape:
        image uint8 RGB ``(H, W, 3)``.
    """
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, format="JPEG", quality=quality)
    return encoded.getvalue()


def write_picture(
    path: Path, picture: Image.Image, *, quality: int = 90, made_by: str | None = None
) -> None:
    """Write a Pillow picture, palette included; see :func:`write_image`."""
    kind = "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG"
    encoded = io.BytesIO()
    picture.save(encoded, format=kind, quality=quality)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, encoded.getvalue(), made_by=made_by)


def write_mask(
    path: Path, mask: np.ndarray, classes: Classes, *, made_by: str | None = None
) -> None:
    """Write a mask as a PNG in its classes' colours; see :func:`colorize`."""
    write_image(path, colorize(mask, classes), made_by=made_by)
