"""Embeddings of pixels: their t-SNE projection, and how well the classes separate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from segdistill.analysis.captions import Place, provenance, titled
from segdistill.analysis.compared import TEACHER
from segdistill.analysis.header import header
from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import canvas, to_svg
from segdistill.training.events import Progress

if TYPE_CHECKING:
    from segdistill.analysis.looking import Looked

_COLUMNS = 2
_POINT = 2.8  # diameter of a pixel's mark, in points
_MOST_LETTERS = 13  # of a class in the legend


def measure(looked: Looked) -> dict[str, Any]:
    """Return the t-SNE projection of each network's pixels, and how well the classes separate.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    from sklearn.manifold import TSNE

    from segdistill.scoring.embeddings import neighbour_agreement

    opened, labels = looked.opened, looked.targets.pixels[:, 3]
    settings = opened.settings
    neighbours = min(settings.neighbours, len(labels) - 1)
    perplexity = max(1.0, min(settings.perplexity, (len(labels) - 1) / 3))
    networks = {}
    for done, (name, seen) in enumerate(looked.seen.items()):
        embeddings = seen.embeddings
        networks[name] = {
            "neighbour_agreement": neighbour_agreement(embeddings, labels, neighbours=neighbours),
            "channels": embeddings.shape[1],
        }
        if name != TEACHER:
            # Identical features have no principal directions to start from.
            start = "pca" if bool((embeddings.std(dim=0) > 0).sum() > 1) else "random"
            plane = TSNE(init=start, perplexity=perplexity, random_state=settings.seed)
            placed = plane.fit_transform(embeddings.numpy())
            networks[name] |= {axis: placed[:, i].round(2).tolist() for i, axis in enumerate("xy")}
        looked.tell(Progress("t-SNE", done + 1, len(looked.seen), {}))
    used = ("images", "megapixels", "pixels", "neighbours", "perplexity", "tap", "seed")
    return header("embedding", opened, *used) | {
        "images": opened.names(),
        "classes": list(opened.classes.names),
        "colors": [list(color) for color in opened.classes.colors],
        "labels": labels.tolist(),
        "neighbours": neighbours,
        "perplexity": perplexity,
        "networks": networks,
    }


def draw(values: Mapping[str, Any], place: Place) -> list[Figure]:
    """Draw the embeddings of each network that has a projection, two per row."""
    networks = {name: row for name, row in values["networks"].items() if "x" in row}
    shares = {name: row["neighbour_agreement"] for name, row in values["networks"].items()}
    rows = -(-len(networks) // _COLUMNS)
    known = sorted(set(values["labels"]))
    figure = canvas(2.65 * rows + 0.25 * -(-len(known) // 3) + 0.1)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for axes, (name, row) in zip(grid, networks.items(), strict=False):
        _scatter(axes, row, values)
        axes.set_title(name, loc="left", fontweight="bold")
        axes.set_title(f"{100 * shares[name]:.0f} %", loc="right")
    for axes in grid[len(networks) :]:
        axes.set_visible(False)
    figure.legend(
        [_mark(values["colors"][label]) for label in known],
        [_short(values["classes"][label]) for label in known],
        loc="outside lower left",
        ncols=3,
        frameon=False,
        handletextpad=0.1,
        columnspacing=0.8,
    )
    summary = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    teacher = f" (teacher: {100 * shares[TEACHER]:.0f} %)" if TEACHER in shares else ""
    return [
        Figure(
            titled("Embeddings of pixels", values),
            f"t-SNE (perplexity {values['perplexity']:g}) of {len(values['labels']):,} pixels' "
            f"features of the tap {values['settings']['tap']}, each of length 1, about as many of "
            "every class, the same for all; distances between clusters mean little. The "
            "percentages are taken in the space itself: how many of a pixel's "
            f"{values['neighbours']} nearest are of its class{teacher}. {provenance(values)}",
            to_svg(figure, place.name),
            f"Scatter plots by class, one per network. Nearest neighbours of the same class: "
            f"{summary}.",
        )
    ]


def _scatter(axes: Axes, row: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Draw one path per class, which needs a third of the space of a path per point."""
    points = np.array([row["x"], row["y"]], dtype=np.float64).T
    labels = np.array(values["labels"])
    for label, color in enumerate(values["colors"]):
        chosen = points[labels == label]
        if len(chosen):
            # A point is a line of length zero with round ends.
            codes = [Outline.MOVETO, Outline.LINETO] * len(chosen)
            outline = Outline(chosen.repeat(2, axis=0), codes)
            outline.should_simplify = False
            patch = PathPatch(
                outline, fill=False, edgecolor=_ink(color), linewidth=_POINT, capstyle="round"
            )
            axes.add_patch(patch)
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = 0.53 * max(float(np.ptp(points, axis=0).max()), 1e-9)
    axes.set_xlim(middle[0] - reach, middle[0] + reach)
    axes.set_ylim(middle[1] - reach, middle[1] + reach)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_alpha(0.25)


def _mark(color: Sequence[int]) -> Line2D:
    return Line2D([], [], linestyle="none", marker="o", color=_ink(color), markersize=7)


def _ink(color: Sequence[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _short(name: str) -> str:
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"
