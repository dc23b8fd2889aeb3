"""Forest plots: differences with their intervals, one per line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import blank, ink, tidy, to_svg
from segdistill.studies.statistics import Interval
from segdistill.studies.verdict import points


@dataclass(frozen=True)
class Line:
    """One line of a forest plot.

    Attributes:
        label: name of the method or class.
        interval: the difference with its interval, in fractions.
        seeds: the differences of which it is the mean.
        claimed: whether a difference may be claimed; then it is drawn solid.
        color: CSS variable.
    """

    label: str
    interval: Interval
    seeds: Sequence[float]
    claimed: bool
    color: str


def forest(
    lines: Sequence[Line], *, title: str, caption: str, name: str, unit: str = "mIoU points"
) -> Figure:
    """Draw one line per difference, from top to bottom, with its numbers on the right.

    Args:
        lines: lines of the plot, at least one.
        title: heading.
        caption: how to read it.
        name: unique within the page.
        unit: unit of the differences.
    """
    figure, axes = blank(0.9 + 0.36 * len(lines))
    axes.axvline(0, color="black", linewidth=0.8, alpha=0.5)
    for row, line in enumerate(lines):
        color = ink(line.color)
        low, middle, high = (
            100 * value for value in (line.interval.low, line.interval.estimate, line.interval.high)
        )
        axes.plot([low, high], [row, row], color=color, linewidth=2.2, solid_capstyle="round")
        seeds = [100 * value for value in line.seeds]
        axes.plot(seeds, [row] * len(seeds), "|", color=color, alpha=0.55, markersize=8)
        face = color if line.claimed else "none"
        axes.plot([middle], [row], "o", color=color, markerfacecolor=face, markersize=7)
    axes.set_yticks(range(len(lines)), [line.label for line in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    numbers = axes.secondary_yaxis("right")
    numbers.set_yticks(range(len(lines)), [_numbers(line.interval) for line in lines])
    numbers.tick_params(length=0)
    numbers.spines["right"].set_visible(False)
    tidy(axes, "", unit)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", alpha=0.25, linewidth=0.6)
    axes.grid(visible=False, axis="y")
    summary = "; ".join(
        f"{line.label}: {_numbers(line.interval)}{', claimed' if line.claimed else ''}"
        for line in lines
    )
    return Figure(title, caption, to_svg(figure, name), f"{title}, {unit}. {summary}.")


def _numbers(interval: Interval) -> str:
    return f"{points(interval.estimate)}  ({points(interval.low)} to {points(interval.high)})"
