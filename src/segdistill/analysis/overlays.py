"""Maps of networks drawn over a picture, for analyses that have one map per network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from segdistill.drawing.svg import FULL_WIDTH, canvas

_COLUMNS = 3
_MOST_PICTURE_SIDE = 320
_MAP = "viridis"
_OPACITY = 0.72  # opacity of a map over the picture
_MOST_PIXELS_ACROSS = 160  # width of a picture in the page, a third of a chart
_MOST_LETTERS = 14  # length of a title above a picture


class Panel(NamedTuple):
    """One picture of a figure.

    Attributes:
        title: title above it.
        shares: the map over it, from 0 (darkest) to 1; None for the picture alone.
    """

    title: str
    shares: np.ndarray | None = None


def draw_panels(
    photo: np.ndarray, panels: Sequence[Panel], *, ends: tuple[str, str], low: float
) -> tuple[Any, list[Axes]]:
    """Return a figure of a picture under coloured maps, three per row, and its axes.

    Args:
        photo: the picture as read.
        panels: the panels in order.
        ends: labels at the two ends of the scale.
        low: value at the lower end of the scale, whose upper end is 1.
    """
    small = shrunk(photo)
    rows = -(-len(panels) // _COLUMNS)
    height = FULL_WIDTH / _COLUMNS * small.shape[0] / small.shape[1]
    figure = canvas(rows * (height + 0.25) + 0.55)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for axes, panel in zip(grid, panels, strict=False):
        short = panel.title
        short = short if len(short) <= _MOST_LETTERS else f"{short[: _MOST_LETTERS - 1]}…"
        axes.set_title(short, loc="left", fontweight="bold")
        axes.imshow(
            small if panel.shares is None else _over(small, panel.shares), interpolation="none"
        )
        axes.set_axis_off()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    scale = ScalarMappable(Normalize(low, 1), _MAP)
    bar = figure.colorbar(scale, ax=list(grid), orientation="horizontal", shrink=0.5, aspect=18)
    bar.set_ticks([low, 1], labels=list(ends))
    return figure, list(grid[: len(panels)])


def shrunk(picture: np.ndarray) -> np.ndarray:
    """Return a picture in [0, 1], reduced by block means to the size shown on the page."""
    values = np.asarray(picture, dtype=np.float64)[..., :3] / (
        255 if picture.dtype.kind == "u" else 1
    )
    step = max(1, -(-values.shape[1] // _MOST_PIXELS_ACROSS))
    height, width = (size - size % step for size in values.shape[:2])
    blocks = values[:height, :width].reshape(height // step, step, width // step, step, 3)
    means: np.ndarray = blocks.mean(axis=(1, 3))
    return means


def reduced(image: Any) -> Any:
    """Return an image reduced to the size that a page needs."""
    import torch
    from torch.nn import functional as F

    height, width = image.shape[:2]
    factor = _MOST_PICTURE_SIDE / max(height, width)
    if factor >= 1:
        return image
    size = round(factor * height), round(factor * width)
    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()
    small = F.interpolate(tensor, size, mode="bilinear", antialias=True)
    return small[0].round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def _over(photo: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return a picture under a coloured map."""
    height, width = photo.shape[:2]
    rows = np.arange(height) * shares.shape[0] // height
    columns = np.arange(width) * shares.shape[1] // width
    colors = mpl.colormaps[_MAP](shares.clip(0, 1)[rows][:, columns])[..., :3]
    mixed: np.ndarray = _OPACITY * colors + (1 - _OPACITY) * photo
    return mixed
