"""Training: the task loss and the mIoU over the steps, mean and range over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes

from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import blank, ink, tidy, to_svg
from segdistill.reporting.groups import Group
from segdistill.reporting.material import Material
from segdistill.reporting.runs import Run
from segdistill.runs.metrics import evaluation_lines, train_lines

_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))
_MOST_POINTS = 250  # of a curve: more than a page has pixels for


@dataclass(frozen=True)
class _Curve:
    """One number over the steps.

    Attributes:
        name: prefix of the drawings' ids.
        title: of the chart.
        read: returns the values of a run by step.
        marker: of its points, None for a line alone.
    """

    name: str
    title: str
    read: Callable[[Run], dict[int, float]]
    marker: str | None


def _task_loss(run: Run) -> dict[int, float]:
    """Return the task's part of the loss alone, which means the same in every method."""
    lines = train_lines(run.metrics)
    return {line.step: line.parts["task"] for line in lines if "task" in line.parts}


def _miou(run: Run) -> dict[int, float]:
    return {line.step: 100 * line.miou for line in evaluation_lines(run.metrics)}


_CURVES = (
    _Curve("task", "Training loss, task part", _task_loss, None),
    _Curve("miou", "mIoU, %", _miou, "o"),
)


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the charts, None where nothing was logged."""
    figures = curve_charts(material)
    if not figures:
        return None
    return {
        "figures": figures,
        "groups": material.trained,
        "colors": material.colors,
        "several": material.several_seeds,
    }


def curve_charts(material: Material) -> list[Figure]:
    """Return a chart for each panel and number that was logged.

    A study's teacher was trained before it, on steps of its own, and is left out.
    """
    return [
        figure
        for place, panel in enumerate(material.panels)
        for curve in _CURVES
        if (figure := _chart(material, panel, place, curve)) is not None
    ]


def _chart(material: Material, panel: str, place: int, curve: _Curve) -> Figure | None:
    figure, axes = blank(3.2)
    ends = {
        group.label: end
        for group in material.panels[panel]
        if group in material.trained
        and (end := _draw(axes, group, material.colors[group.label], curve)) is not None
    }
    if not ends:
        return None
    tidy(axes, "", "step")
    axes.margins(x=0.02)
    title = f"{curve.title}: {panel}" if panel else curve.title
    said = "; ".join(f"{label}: {end:.3g}" for label, end in ends.items())
    alt = f"{title}, over the training steps. Last value of each: {said}."
    return Figure(title, "", to_svg(figure, f"{curve.name}{place}"), alt)


def _draw(axes: Axes, group: Group, color: str, curve: _Curve) -> float | None:
    """Draw the mean over seeds and the range of the seeds; return the last mean, if any."""
    runs = [values for run in group.runs if (values := curve.read(run))]
    steps = [step for step in runs[0] if all(step in values for values in runs)] if runs else []
    if not steps:
        return None
    steps = steps[:: 1 + len(steps) // _MOST_POINTS]
    seeds = [[run[step] for run in runs] for step in steps]
    axes.plot(
        steps,
        [fmean(at) for at in seeds],
        color=ink(color),
        linestyle=_DASHES[int(color[3:]) % len(_DASHES)],
        linewidth=1.6,
        marker=curve.marker,
        markersize=3.2,
    )
    if len(runs) > 1:
        low, high = [min(at) for at in seeds], [max(at) for at in seeds]
        axes.fill_between(steps, low, high, color=ink(color), alpha=0.14, linewidth=0)
    return fmean(seeds[-1])
