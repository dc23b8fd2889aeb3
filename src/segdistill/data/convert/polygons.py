"""Polygons and other outlines as regions of pixels, drawn by Pillow."""

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


def _draw(size: Size, stroke: Callable[[ImageDraw.ImageDraw], None]) -> np.ndarray:
    picture = Image.new("L", (size[1], size[0]))
    stroke(ImageDraw.Draw(picture))
    region: np.ndarray = np.asarray(picture).astype(bool)
    return region
