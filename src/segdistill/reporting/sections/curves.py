"""Training: task loss and mIoU over the steps, with mean and range over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
_MOST_POINTS = 250  # points of a curve; more than fit the pixels of a page


@dataclass(frozen=True)
class _Curve:
    """One quantity over the steps.

    Attributes:
        name: prefix of the ids in its drawings.
        title: title of the chart.
        read: function that returns the values of a run by step.
        marker: marker of its points, None for a line only.
    """

    name: str
    title: str
    read: Callable[[Run], dict[int, float]]
    marker: str | None


def _task_loss(run: Run) -> dict[int, float]:
    """Return the task loss, which is comparable between methods."""
    lines = train_lines(run.metrics)
    return {line.step: line.parts["task"] for line in lines if "task" in line.parts}


def _miou(run: Run) -> dict[int, float]:
    return {line.step: 100 * line.miou for line in evaluation_lines(run.metrics)}


_CURVES = (
    _Curve("task", "Training loss, task part", _task_loss, None),
    _Curve("miou", "mIoU, %", _miou, "o"),
)


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the charts, None if nothing was logged."""
    figures = curve_charts(material)
    if not figures:
        return None
    return {"figures": figures, "several": material.several_seeds}


def curve_charts(material: Material) -> list[Figure]:
    """Return a chart for each panel and logged quantity, separately for students and teachers.

    On the scale of a teacher's losses and scores, differences between students would be invisible.
    A study's teacher was trained before the study and is left out.
    """
    trained = {group.label for group in material.trained}
    figures: dict[str, Figure] = {}
    for panel, groups in material.panels.items():
        for teacher in (False, True):
            drawn = [
                group for group in groups if group.teacher == teacher and group.label in trained
            ]
            apart = teacher and len(drawn) < len(groups)
            title = ", ".join(word for word in (panel, "teacher" if apart else "") if word)
            for curve in _CURVES:
                name = f"{curve.name}{len(figures)}"
                figure = _chart(drawn, material.colors, curve, title, name)
                if figure is not None:
                    figures.setdefault(figure.title, figure)  # a teacher without a panel is in each
    return [*figures.values()]


def _chart(
    groups: Sequence[Group], colors: Mapping[str, str], curve: _Curve, of: str, name: str
) -> Figure | None:
    figure, axes = blank(3.2)
    ends = {
        group.label: end
        for group in groups
        if (end := _draw(axes, group, colors[group.label], curve)) is not None
    }
    if not ends:
        return None
    tidy(axes, "", "step")
    axes.margins(x=0.02)
    title = f"{curve.title}: {of}" if of else curve.title
    summary = "; ".join(f"{label}: {end:.3g}" for label, end in ends.items())
    alt = f"{title}, over the training steps. Last value of each: {summary}."
    legend = {label: colors[label] for label in ends}
    return Figure(title, "", to_svg(figure, name), alt, legend)


def _draw(axes: Axes, group: Group, color: str, curve: _Curve) -> float | None:
    """Draw the mean and the range over seeds; return the last mean, if any."""
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
