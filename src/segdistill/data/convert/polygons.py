"""Outlines, drawn by Pillow, and parts of masks as regions of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from segdistill.data.convert.records import Size

Point = tuple[float, float]


def fill_polygon(size: Size, points: Sequence[Point]) -> np.ndarray:
    """Return the pixels of a polygon and its outline; parts outside the image are cut off.

    Args:
        size: height and width of the image.
        points: x and y in pixels, three or more.

    Shape:
        Result bool ``(H, W)``.

    Source:
        ``labelme.utils.shape_to_mask`` draws with Pillow too, outline included.
    """
    return _draw(size, lambda pen: pen.polygon(list(points), fill=1, outline=1))


def fill_rectangle(size: Size, first: Point, second: Point) -> np.ndarray:
    """Return the pixels of an upright rectangle between two of its corners."""
    (left, right), (top, bottom) = sorted((first[0], second[0])), sorted((first[1], second[1]))
    return _draw(size, lambda pen: pen.rectangle((left, top, right, bottom), fill=1, outline=1))


def fill_circle(size: Size, centre: Point, rim: Point) -> np.ndarray:
    """Return the pixels of a circle, given its centre and a point on its rim."""
    (x, y), radius = centre, float(np.hypot(rim[0] - centre[0], rim[1] - centre[1]))
    box = (x - radius, y - radius, x + radius, y + radius)
    return _draw(size, lambda pen: pen.ellipse(box, fill=1, outline=1))


def fill_part(size: Size, part: np.ndarray, left: int, top: int) -> np.ndarray:
    """Return the pixels of a mask of a part of an image; what lies outside the image is cut off.

    Args:
        size: height and width of the image.
        part: bool ``(h, w)``.
        left: column of the part's first pixel in the image; below 0 if it begins outside.
        top: its row.

    Shape:
        Result bool ``(H, W)``.
    """
    inside = part[max(-top, 0) :, max(-left, 0) :]
    region = np.zeros(size, dtype=bool)
    top, left = max(top, 0), max(left, 0)
    window = region[top : top + inside.shape[0], left : left + inside.shape[1]]
    window |= inside[: window.shape[0], : window.shape[1]]
    return region


def _draw(size: Size, stroke: Callable[[ImageDraw.ImageDraw], None]) -> np.ndarray:
    picture = Image.new("L", (size[1], size[0]))
    stroke(ImageDraw.Draw(picture))
    region: np.ndarray = np.asarray(picture).astype(bool)
    return region
