"""Curves and points of the analyses: entropy, magnitudes, critics' scores, images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segdistill.reporting.charts import blank, ink, tidy, to_svg
from segdistill.reporting.groups import SERIES_COLORS


def entropy_chart(found: Mapping[str, Any], name: str) -> Markup:
    """Draw the histogram of entropies of every temperature.

    Args:
        found: ``entropy.json``.
        name: prefix of the drawing's ids.
    """
    figure, axes = blank(5.0, 3.3)
    for place, row in enumerate(found["temperatures"]):
        color = ink(f"--s{1 + place % (SERIES_COLORS - 1)}")
        label = f"T = {row['temperature']:g}, mean {row['mean']:.2f}"
        shares = [100 * share for share in row["shares"]]
        axes.stairs(shares, found["edges"], color=color, linewidth=1.6, label=label)
        axes.stairs(shares, found["edges"], color=color, fill=True, alpha=0.12)
        axes.plot(
            [row["mean"]], [0], marker="^", color=color, markersize=6, clip_on=False, zorder=5
        )
    tidy(axes, "Pixels, %", "entropy of the teacher's classes, nats")
    axes.margins(x=0.02)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9)
    return to_svg(figure, name)


def magnitude_chart(
    rows: Mapping[str, Mapping[str, Any]], colors: Mapping[str, str], name: str
) -> Markup:
    """Draw mn/N and the lengths m and n over the steps.

    Args:
        rows: of ``magnitudes.json``, by method.
        colors: CSS variable by method.
        name: prefix of the drawing's ids.
    """
    figure = Figure(figsize=(5.0, 4.8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for method, row in rows.items():
        color = ink(colors[method])
        above.plot(row["steps"], row["mn_over_values"], color=color, linewidth=1.6, label=method)
        below.plot(row["steps"], row["n"], color=color, linewidth=1.6, label=f"n, {method}")
    for place, row in enumerate(rows.values()):
        label = "m, teacher" if place == 0 else None
        below.plot(row["steps"], row["m"], color=ink("--s0"), linewidth=1.6, label=label)
    tidy(above, "mn/N", "")
    tidy(below, "m and n", "step")
    for axes in (above, below):
        axes.margins(x=0.02)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=9)
    return to_svg(figure, name)


def critic_chart(
    gaps: Mapping[str, Sequence[float]], colors: Mapping[str, str], name: str
) -> Markup:
    """Draw the difference of a critic's scores for every image, with the means.

    Args:
        gaps: by method, one an image.
        colors: CSS variable by method.
        name: prefix of the drawing's ids.
    """
    figure, axes = blank(5.0, 3.1)
    first = next(iter(gaps.values()))
    order = sorted(range(len(first)), key=first.__getitem__)
    for method, values in gaps.items():
        color, mean = ink(colors[method]), sum(values) / len(values)
        axes.plot(
            range(1, len(order) + 1),
            [values[place] for place in order],
            color=color,
            linestyle="none",
            marker="o",
            markersize=3.6,
            label=f"{method}, mean {mean:+.2f}",
        )
        axes.axhline(mean, color=color, linewidth=1.2, linestyle=(0, (5, 2)))
    _zero(axes)
    tidy(axes, "Score of teacher − score of student", "image")
    axes.legend(frameon=False, fontsize=9)
    return to_svg(figure, name)


def difference_chart(
    methods: Mapping[str, Mapping[str, Any]], colors: Mapping[str, str], name: str
) -> Markup:
    """Draw the sorted differences of the images' mIoU, one curve a method.

    Args:
        methods: of ``images.json``, by method.
        colors: CSS variable by method.
        name: prefix of the drawing's ids.
    """
    figure, axes = blank(5.0, 3.1)
    for method, row in methods.items():
        values = sorted(100 * one for one in row["differences"] if one is not None)
        places = [100 * (place + 0.5) / len(values) for place in range(len(values))]
        share = 100 * row["better"] / max(1, len(values))
        color = ink(colors[method])
        axes.plot(
            places, values, color=color, linewidth=1.6, label=f"{method}: {share:.0f} % better"
        )
        shown = len(row["worst"]), len(row["best"])
        ends = [*range(shown[0]), *range(len(values) - shown[1], len(values))]
        axes.plot(
            [places[end] for end in ends],
            [values[end] for end in ends],
            color=color,
            linestyle="none",
            marker="o",
            markersize=3.2,
        )
    _zero(axes)
    tidy(axes, "Change of mIoU, points", "images from worst to best, %")
    axes.margins(x=0.02)
    axes.legend(frameon=False, fontsize=9)
    return to_svg(figure, name)


def _zero(axes: Axes) -> None:
    axes.axhline(0, color="black", linewidth=0.8, alpha=0.6)
