"""A contact sheet: images with their masks and the classes' colours, on one picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from segdistill.data.pictures import colorize
from segdistill.errors import DataError
from segdistill.types import Classes, SegDataset

_MARGIN = 6
_LINE = 16


def contact_sheet(
    dataset: SegDataset, *, count: int = 12, columns: int = 3, width: int = 240
) -> np.ndarray:
    """Draw images spread over the dataset, each next to its mask, above a legend.

    Args:
        dataset: images with masks; those that cannot be read are left out.
        count: number of images.
        columns: pairs per row.
        width: width of one image, px.

    Shape:
        Result uint8 RGB ``(H, W, 3)``.

    Returns:
        The sheet.

    Raises:
        DataError: none of the images can be read.
    """
    indices = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int))
    pairs = [pair for index in indices if (pair := _pair(dataset, int(index), width)) is not None]
    if not pairs:
        raise DataError("contact_sheet: expected images that can be read, got none")
    height = max(pair.height for pair in pairs)
    rows = -(-len(pairs) // columns)
    legend = _legend(dataset.classes, columns * (2 * width + _MARGIN))
    sheet = Image.new(
        "RGB",
        (columns * (2 * width + _MARGIN), rows * (height + _MARGIN) + legend.height),
        "white",
    )
    for position, pair in enumerate(pairs):
        row, column = divmod(position, columns)
        sheet.paste(pair, (column * (2 * width + _MARGIN), row * (height + _MARGIN)))
    sheet.paste(legend, (0, rows * (height + _MARGIN)))
    return np.array(sheet)


def _pair(dataset: SegDataset, index: int, width: int) -> Image.Image | None:
    try:
        image, mask, _ = dataset[index]
    except DataError:
        return None
    height = max(1, round(width * image.shape[0] / image.shape[1]))
    both = Image.new("RGB", (2 * width, height), "white")
    both.paste(Image.fromarray(np.ascontiguousarray(image)).resize((width, height)), (0, 0))
    if mask is not None:
        colors = Image.fromarray(colorize(mask, dataset.classes))
        both.paste(colors.resize((width, height), Image.Resampling.NEAREST), (width, 0))
    return both


def _legend(classes: Classes, width: int) -> Image.Image:
    across = max(1, width // 150)
    rows = -(-len(classes) // across)
    legend = Image.new("RGB", (width, max(1, rows * _LINE)), "white")
    draw = ImageDraw.Draw(legend)
    for label, (name, color) in enumerate(zip(classes.names, classes.colors, strict=True)):
        row, column = divmod(label, across)
        left, top = column * (width // across) + 4, row * _LINE
        draw.rectangle((left, top + 2, left + 11, top + 13), fill=color)
        # The default font has Latin letters only.
        draw.text((left + 16, top + 2), name.encode("ascii", "replace").decode(), fill="black")
    return legend
