"""Affinity to one point: the cosine between its features and those of every position."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import image as files
from matplotlib.axes import Axes

from segdistill.analysis.captions import Place, provenance, titled
from segdistill.analysis.header import header
from segdistill.analysis.overlays import Panel, draw_panels, reduced
from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import BLACK, WHITE, to_svg
from segdistill.runs.analyses import find_picture, name_picture, picture_folder

if TYPE_CHECKING:
    from segdistill.analysis.looking import Looked


def measure(looked: Looked) -> dict[str, Any]:
    """Write the affinity maps of every network as grey pictures, and return their description."""
    import torch

    from segdistill.data.pictures import write_image

    opened, targets = looked.opened, looked.targets
    pictures = picture_folder(opened.folder, "affinity", opened.compared.pair)
    pictures.mkdir(parents=True, exist_ok=True)
    points = []
    for number, (image, row, column, label) in enumerate(targets.points):
        sample, (height, width) = opened.samples[image], targets.grids[image]
        photo = pictures / f"{number}_input.jpg"
        write_image(photo, reduced(sample.image), made_by="analyse")
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
    """Draw each point's picture and the map of every network over it, three per row."""
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
    """Return the picture alone, then under the map of every network."""
    photo = files.imread(find_picture(folder, point["input"]))
    low = min(row["low"] for row in point["maps"].values())
    panels = [Panel("input")]
    for name, row in point["maps"].items():
        grey = np.asarray(files.imread(find_picture(folder, row["file"])), dtype=np.float64)
        panels.append(Panel(name, (2 * grey - 1 - low) / max(1 - low, 1e-9)))
    words = (f"cosine {low:.2f}".replace("-", "−"), "1")
    figure, grid = draw_panels(photo, panels, ends=words, low=low)
    for axes in grid:
        _mark(axes, point)
    return figure


def _mark(axes: Axes, point: Mapping[str, Any]) -> None:
    rows, columns = point["grid"]
    (left, right), (low, top) = axes.get_xlim(), axes.get_ylim()
    x = left + (point["column"] + 0.5) / columns * (right - left)
    y = top + (point["row"] + 0.5) / rows * (low - top)
    axes.plot([x], [y], "+", color=BLACK, markersize=11, markeredgewidth=4)
    axes.plot([x], [y], "+", color=WHITE, markersize=10, markeredgewidth=2)
