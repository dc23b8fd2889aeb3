"""Predictions as files: what the test servers take, and pictures for people."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from segdistill.catalogue.predictions import FORMATS, SUFFIXES, UNSURE, Format
from segdistill.data.coco_rle import coco_document
from segdistill.data.files.palettes import voc_colors
from segdistill.data.formats import ade20k, cityscapes, voc
from segdistill.data.pictures import colorize, write_image, write_picture
from segdistill.files import inside, write_whole
from segdistill.types import IGNORE_INDEX, Classes

_SERVERS: dict[Format, Classes] = {
    "cityscapes": cityscapes.CLASSES,
    "ade20k": ade20k.CLASSES,
    "voc": voc.CLASSES,
}


def write_prediction(
    out: Path,
    prediction: np.ndarray,
    image: np.ndarray,
    name: str,
    classes: Classes,
    kind: Format,
    *,
    file_name: str = "",
) -> Path:
    """Write one prediction in a format of ``FORMATS``.

    Args:
        out: folder, made if it is missing.
        prediction: train ids at the image's own size; in a format of ``UNSURE`` also 255, no class.
        image: what was predicted on.
        name: the sample's name.
        classes: of the network.
        kind: a key of ``FORMATS``.
        file_name: of the image, for formats that name it; the sample's name by default.

    Shape:
        prediction ``(H, W)`` of whole numbers, image uint8 ``(H, W, 3)``.

    Returns:
        The file.

    Raises:
        ConfigError: the format's package is not installed.
        ValueError: an unknown format, a prediction of another size than the image, a value
            that is no class, or a server's format for other classes.
    """
    _check(prediction, image, name, classes, kind)
    ids = prediction.astype(np.uint8, copy=False)
    path = prediction_file(out, name, kind)
    if kind == "cityscapes":
        write_image(path, np.array(cityscapes.LABEL_IDS, dtype=np.uint8)[ids], made_by="predict")
    elif kind == "ade20k":
        write_image(path, ids + 1, made_by="predict")
    elif kind == "voc":
        picture = Image.fromarray(ids, "P")
        picture.putpalette([part for color in voc_colors(256) for part in color])
        write_picture(path, picture, made_by="predict")
    elif kind == "ids":
        picture = Image.fromarray(ids, "P")
        picture.putpalette(_palette(classes))
        write_picture(path, picture, made_by="predict")
    elif kind == "color":
        write_image(path, colorize(ids, classes), made_by="predict")
    elif kind == "coco":
        document = coco_document(ids, file_name or name, classes)
        write_whole(path, json.dumps(document), made_by="predict")
    else:
        write_image(path, overlay(image, ids, classes), made_by="predict")
    return path


def server_classes(kind: Format) -> Classes | None:
    """Return the classes of a test server's format in the order of its ids, None for pictures."""
    return _SERVERS.get(kind)


def prediction_file(out: Path, name: str, kind: Format) -> Path:
    """Return the file that :func:`write_prediction` writes.

    Args:
        out: the folder.
        name: the sample's name. Servers want all files in one folder: their formats leave the
            folders of the name out.
        kind: a key of ``FORMATS``.

    Raises:
        ValueError: the file would not be below the folder.
    """
    below = name if server_classes(kind) is None else PurePosixPath(name).name
    return inside(out, f"{below}{SUFFIXES.get(kind, '.png')}")


def _palette(classes: Classes) -> list[int]:
    """Return the classes' colours, and black for what is none."""
    colors = [part for color in classes.colors for part in color]
    return colors + [0] * (3 * 256 - len(colors))


def overlay(image: np.ndarray, mask: np.ndarray, classes: Classes) -> np.ndarray:
    """Return an image with its classes' colours over it, half transparent.

    Shape:
        image uint8 ``(H, W, 3)``, mask ``(H, W)``; result uint8 ``(H, W, 3)``.
    """
    mixed = colorize(mask, classes)
    # Row by row: sums need 16 bits, and of a hundred megapixels twice over those are gigabytes.
    for row, below in zip(mixed, image, strict=True):
        row[:] = (row.astype(np.uint16) + below + 1) // 2
    return mixed


def _check(
    prediction: np.ndarray, image: np.ndarray, name: str, classes: Classes, kind: Format
) -> None:
    if kind not in FORMATS:
        raise ValueError(f"write_prediction: expected one of {', '.join(FORMATS)}, got {kind!r}")
    if prediction.shape != image.shape[:2]:
        raise ValueError(
            f"write_prediction: expected a prediction of {name}'s size {image.shape[:2]}, got "
            f"{prediction.shape}; resize the logits first"
        )
    if kind in UNSURE:
        prediction = prediction[prediction != IGNORE_INDEX]
    if prediction.size and not 0 <= prediction.min() <= prediction.max() < len(classes):
        raise ValueError(
            f"write_prediction: expected train ids 0 to {len(classes) - 1} for {name}, got "
            f"{prediction.min()} to {prediction.max()}"
        )
    server = server_classes(kind)
    if server is not None and server.names != classes.names:
        raise ValueError(
            f"write_prediction: expected the {len(server)} classes of the format {kind}, in its "
            f"order, got {len(classes)}, {', '.join(classes.names[:3])} first; use color or overlay"
        )
