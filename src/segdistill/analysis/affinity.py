"""Affinity to one point: the cosine between its features and those of every position."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib import image as files
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from segdistill.analysis.captions import Place, provenance, titled
from segdistill.analysis.header import header
from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import BLACK, FULL_WIDTH, WHITE, canvas, to_svg
from segdistill.runs.analyses import find_picture, name_picture, picture_folder

if TYPE_CHECKING:
    from segdistill.analysis.looking import Looked

_MOST_PICTURE_SIDE = 320
_COLUMNS = 3
_MAP = "viridis"
_OPACITY = 0.72  # of the map over the picture
_MOST_PIXELS_ACROSS = 160  # of a picture in the page, where it is a third of a chart
_MOST_LETTERS = 14  # of a title above a picture


def measure(looked: Looked) -> dict[str, Any]:
    """Write the affinity maps of every network as grey pictures, and return what they are."""
    import torch

    from segdistill.data.pictures import write_image

    opened, targets = looked.opened, looked.targets
    pictures = picture_folder(opened.folder, "affinity", opened.compared.pair)
    pictures.mkdir(parents=True, exist_ok=True)
    points = []
    for number, (image, row, column, label) in enumerate(targets.points):
        sample, (height, width) = opened.samples[image], targets.grids[image]
        photo = pictures / f"{number}_input.jpg"
        write_image(photo, _reduced(sample.image), made_by="analyse")
        maps = {}
        for name, seen in looked.seen.items():
            file, values = pictures / f"{number}_{name}.png", seen.affinities[number]
            grey = ((values + 1) * 127.5).round().to(torch.uint8).numpy()
            write_image(file, grey, made_by="analyse")
            maps[name] = {
                "file": name_picture(opened.folder, file),
                "low": float(values.min()),
                "mean": float(values.mean()),
            }
        points.append(
            {
                "image": sample.name,
                "input": name_picture(opened.folder, photo),
                "size": list(sample.image.shape[:2]),
                "grid": [height, width],
                "row": row,
                "column": column,
                "class": opened.classes.names[label],
                "maps": maps,
            }
        )
    return header("affinity", opened, "points", "tap", "seed") | {
        "value_of_grey": "cosine = grey / 127.5 - 1",
        "points": points,
    }


def draw(values: Mapping[str, Any], place: Place) -> list[Figure]:
    """Draw each point's picture, and over it the map of every network, three in a row."""
    figures = []
    for number, point in enumerate(values["points"]):
        means = ", ".join(f"{name} {row['mean']:.2f}" for name, row in point["maps"].items())
        figures.append(
            Figure(
                titled(f"Affinity to a point of {point['class']}", values),
                f"Cosine between the features of the marked point in {point['image']} and those of "
                f"every position; tap {values['settings']['tap']}, point drawn by seed "
                f"{values['settings']['seed']}. {provenance(values)}",
                to_svg(_panels(point, place.folder), f"{place.name}-{number}"),
                f"Maps over {point['image']}. Mean affinity to the point of {point['class']}: "
                f"{means}.",
            )
        )
    return figures


def _panels(point: Mapping[str, Any], folder: Path) -> Any:
    """Return the picture by itself, then under the map of every network."""
    photo = _shrunk(files.imread(find_picture(folder, point["input"])))
    low = min(row["low"] for row in point["maps"].values())
    rows = -(-(1 + len(point["maps"])) // _COLUMNS)
    height = FULL_WIDTH / _COLUMNS * photo.shape[0] / photo.shape[1]
    figure = canvas(rows * (height + 0.25) + 0.55)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    _show(grid[0], "input", photo, point)
    for axes, (name, row) in zip(grid[1:], point["maps"].items(), strict=False):
        grey = np.asarray(files.imread(find_picture(folder, row["file"])), dtype=np.float64)
        _show(axes, name, _over(photo, 2 * grey - 1, low), point)
    for axes in grid[1 + len(point["maps"]) :]:
        axes.set_visible(False)
    scale = ScalarMappable(Normalize(low, 1), _MAP)
    bar = figure.colorbar(scale, ax=list(grid), orientation="horizontal", shrink=0.5, aspect=18)
    bar.set_ticks([low, 1], labels=[f"cosine {low:.2f}".replace("-", "−"), "1"])
    return figure


def _show(axes: Axes, title: str, picture: np.ndarray, point: Mapping[str, Any]) -> None:
    short = title if len(title) <= _MOST_LETTERS else f"{title[: _MOST_LETTERS - 1]}…"
    axes.set_title(short, loc="left", fontweight="bold")
    axes.imshow(picture, interpolation="none")
    axes.set_axis_off()
    rows, columns = point["grid"]
    x = (point["column"] + 0.5) / columns * picture.shape[1] - 0.5
    y = (point["row"] + 0.5) / rows * picture.shape[0] - 0.5
    axes.plot([x], [y], "+", color=BLACK, markersize=11, markeredgewidth=4)
    axes.plot([x], [y], "+", color=WHITE, markersize=10, markeredgewidth=2)


def _over(photo: np.ndarray, cosines: np.ndarray, low: float) -> np.ndarray:
    """Return a picture under a map in colours, from the lowest value to 1."""
    shares = ((cosines - low) / max(1 - low, 1e-9)).clip(0, 1)
    height, width = photo.shape[:2]
    rows = np.arange(height) * cosines.shape[0] // height
    columns = np.arange(width) * cosines.shape[1] // width
    colors = mpl.colormaps[_MAP](shares[rows][:, columns])[..., :3]
    mixed: np.ndarray = _OPACITY * colors + (1 - _OPACITY) * photo
    return mixed


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """Return a picture in [0, 1] with no more pixels than the page shows: means of blocks."""
    values = np.asarray(picture, dtype=np.float64)[..., :3] / (
        255 if picture.dtype.kind == "u" else 1
    )
    step = max(1, -(-values.shape[1] // _MOST_PIXELS_ACROSS))
    height, width = (size - size % step for size in values.shape[:2])
    blocks = values[:height, :width].reshape(height // step, step, width // step, step, 3)
    shrunk: np.ndarray = blocks.mean(axis=(1, 3))
    return shrunk


def _reduced(image: Any) -> Any:
    """Return an image with its longer side at most what a page needs."""
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
