"""The canvas of drawn scenes: their classes, the street's geometry and light, and noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from segdistill.types import Classes

CLASSES = Classes(
    names=(
        "sky",
        "building",
        "road",
        "sidewalk",
        "vegetation",
        "fence",
        "pole",
        "sign",
        "car",
        "person",
        "cyclist",
    ),
    colors=(
        (70, 130, 180),
        (110, 110, 115),
        (128, 64, 128),
        (244, 35, 232),
        (107, 142, 35),
        (190, 153, 120),
        (240, 200, 60),
        (250, 120, 20),
        (20, 60, 190),
        (220, 20, 60),
        (60, 200, 200),
    ),
)
SKY, BUILDING, ROAD, SIDEWALK, VEGETATION, FENCE, POLE, SIGN, CAR, PERSON, CYCLIST = range(11)

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Street:
    """Camera, road, light and weather of one scene; lengths are metres where not said.

    Attributes:
        focal: focal length, px of the canvas.
        center: column of the vanishing point, px of the canvas.
        horizon: row of the vanishing point, px of the canvas.
        eye: height of the camera.
        road: half the width of the road.
        walk: width of each sidewalk.
        sun: side whose walls are in the shade and cast it: -1 left, 1 right, 0 clouds.
        haze: colour of the far distance, linear RGB.
        sight: distance at which haze makes up about two thirds of the colour.
    """

    focal: float
    center: float
    horizon: float
    eye: float
    road: float
    walk: float
    sun: int
    haze: np.ndarray
    sight: float


class Canvas:
    """The picture while it is painted, at twice the size of the result.

    Args:
        height: px.
        width: px.
        street: what is drawn.
    """

    def __init__(self, height: int, width: int, street: Street) -> None:
        self.street = street
        self.color = np.zeros((height, width, 3), dtype=np.float32)
        self.label = np.zeros((height, width), dtype=np.uint8)
        rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
        columns = np.arange(width, dtype=np.float32)[None, :] + 0.5
        # Direction of each ray for one metre forward: to the right, and up.
        self.right = (columns - street.center) / street.focal
        self.up = (street.horizon - rows) / street.focal

    def window(self, x: float, z: float, half_width: float, top: float) -> Window | None:
        """Return the pixels that an upright thing on the ground may cover.

        Args:
            x: to the right of the camera.
            z: in front of it.
            half_width: of the thing.
            top: its height.

        Returns:
            Rows and columns, or None if none is in the picture.
        """
        street, (height, width) = self.street, self.label.shape
        scale = street.focal / z
        left = max(0, int(street.center + (x - half_width) * scale))
        right = min(width, int(street.center + (x + half_width) * scale) + 2)
        above = max(0, int(street.horizon + (street.eye - top) * scale))
        below = min(height, int(street.horizon + street.eye * scale) + 2)
        if left >= right or above >= below:
            return None
        return slice(above, below), slice(left, right)

    def local(self, window: Window, x: float, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Return metres to the right of a thing's middle and above the ground, by pixel."""
        across = self.right[:, window[1]] * z - x
        above = self.up[window[0]] * z + self.street.eye
        return across, above

    def paint(
        self,
        window: Window,
        mask: np.ndarray,
        color: np.ndarray | float,
        label: int,
        distance: np.ndarray | float,
    ) -> None:
        """Paint the window where ``mask`` holds, seen through ``distance`` metres of air.

        Args:
            window: rows and columns.
            mask: which pixels of the window.
            color: broadcasts to ``(rows, columns, 3)``, linear RGB.
            label: class of the pixels.
            distance: broadcasts to ``(rows, columns)``, m.
        """
        seen = np.broadcast_to(np.asarray(color, dtype=np.float32), (*mask.shape, 3))[mask]
        far = np.broadcast_to(np.asarray(distance, dtype=np.float32), mask.shape)[mask]
        self.fill(window, mask, seen, label, far)

    def fill(
        self,
        window: Window,
        mask: np.ndarray,
        color: np.ndarray,
        label: int,
        distance: np.ndarray,
    ) -> None:
        """Paint the pixels of ``mask``, given a colour and a distance for each of them.

        Args:
            window: rows and columns.
            mask: which of its pixels, ``n`` of them.
            color: ``(n, 3)``, linear RGB.
            label: class of the pixels.
            distance: ``(n,)``, m.
        """
        air = np.exp(distance / -np.float32(self.street.sight))[:, None]
        self.color[window][mask] = (color - self.street.haze) * air + self.street.haze
        self.label[window][mask] = label


def single(numbers: np.ndarray) -> np.ndarray:
    """Return numbers in single precision, which halves the time of drawing."""
    return numbers.astype(np.float32)


def noise(rows: np.ndarray, columns: np.ndarray, *, cell: int) -> np.ndarray:
    """Look up smooth noise, about -1 to 1, in a pattern that repeats every 256 units.

    Args:
        rows: first coordinate; any number.
        columns: second coordinate; any number.
        cell: size of its blobs: 1, 4 or 16 units.
    """
    pattern = _pattern(cell)
    values: np.ndarray = pattern[rows.astype(np.int32) & 255, columns.astype(np.int32) & 255]
    return values


@cache
def _pattern(cell: int) -> np.ndarray:
    rng = np.random.default_rng(cell)
    coarse = rng.standard_normal((256 // cell, 256 // cell)).astype(np.float32)
    if cell == 1:
        return coarse * 0.5
    # Periodic bilinear blobs plus a little of the next finer octave.
    position = np.arange(256) / cell
    low, part = position.astype(int), (position % 1).astype(np.float32)
    high = (low + 1) % len(coarse)
    rows = coarse[low] * (1 - part)[:, None] + coarse[high] * part[:, None]
    smooth = rows[:, low] * (1 - part) + rows[:, high] * part
    mixed: np.ndarray = (0.75 * smooth + 0.4 * _pattern(cell // 4)).astype(np.float32)
    return mixed
