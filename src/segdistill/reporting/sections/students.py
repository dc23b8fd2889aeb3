"""Which student: the front of time and score, the path to it, and the choice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import blank, ink, log_across, series_color, tidy, to_svg
from segdistill.reporting.material import Material
from segdistill.runs.result import BUSY
from segdistill.runs.students import Found, Student

_LOG_FROM = 8.0  # ratio of the largest to the smallest time
_WIDTH = 3.7  # width in inches of a chart that shares its row with others
_HEIGHT = 2.5


def show(material: Material) -> Mapping[str, Any] | None:
    """Return figures and tables of a search of students, None without one."""
    found = material.search
    if found is None:
        return None
    return {
        "found": found,
        "reasons": found.reasons,
        "front": [one for one in _by_time(found) if one.on_front],
        "figure": front_plot(found),
        "path": path_plots(found),
        "caution": _caution(found),
        "words": {one.name: in_words(one) for one in found.students},
    }


def in_words(one: Student) -> str:
    """Return the settings of a student: ``lraspp, backbone mobilenetv2_035, width 64``."""
    rest = [f"{key} {value}" for key, value in one.student.items() if key != "network"]
    return ", ".join([str(one.student.get("network", one.family)), *rest])


def front_plot(found: Found) -> Figure:
    """Plot held-out mIoU against time for every student that was trained to the end."""
    done, colors = _by_time(found), _colors(found)
    figure, axes = blank(3.4)
    edge = [one for one in done if one.on_front]
    axes.step(
        [_ms(one) for one in edge],
        [_score(one) for one in edge],
        where="post",
        color="black",
        alpha=0.45,
        linewidth=1.0,
        linestyle=(0, (4, 3)),
    )
    for one in done:
        color = ink(colors[one.family])
        face = color if one.fits else "none"
        if one.low is not None and one.high is not None:
            ends = [100 * one.low, 100 * one.high]
            axes.plot([_ms(one)] * 2, ends, color=color, linewidth=1.2, alpha=0.6)
        axes.plot([_ms(one)], [_score(one)], "o", color=color, markerfacecolor=face, markersize=6)
        if one.name == found.chosen:
            _ring(axes, _ms(one), one, color)
    if found.limit_ms is not None:
        axes.axvline(found.limit_ms, color="black", linewidth=0.8, alpha=0.5)
    times = [_ms(one) for one in done]
    if max(times) > _LOG_FROM * min(times):
        log_across(axes)
    tidy(axes, "mIoU, %", "ms per image")
    limit = "" if found.limit_ms is None else f" Vertical line: the limit, {found.limit_ms:g} ms."
    caption = (
        "Bars are 95 % intervals over the held-out images. Dashed: the front, which nothing faster "
        f"beats. Hollow: over the limit. Ringed: chosen.{limit}"
    )
    alt = "; ".join(f"{one.name}: {_score(one):.1f} % at {_ms(one):.3g} ms" for one in done)
    legend = {family: color for family, color in colors.items() if _has(done, family)}
    return Figure("The front", caption, to_svg(figure, "students-front"), f"{alt}.", legend)


def path_plots(found: Found) -> list[Figure]:
    """Plot score and time of the students in the order in which they were tried."""
    return [_scores(found), _times(found)]


def _scores(found: Found) -> Figure:
    figure, axes = blank(_HEIGHT, _WIDTH)
    colors = _colors(found)
    scores = [_score(one) for one in found.students if one.miou is not None]
    air = 0.08 * (max(scores) - min(scores)) or 1.0
    floor = min(scores) - air
    tops, top = [], math.nan
    for one in found.students:
        color = ink(colors[one.family])
        if one.miou is None:
            axes.plot([one.number], [floor], "x", color=color, markersize=5, clip_on=False)
        else:
            face = color if one.status == "done" else "none"
            axes.plot([one.number], [_score(one)], "o", color=color, markerfacecolor=face)
        if one.name == found.chosen:
            _ring(axes, one.number, one, color)
        if one.status == "done" and one.fits:
            top = _score(one) if math.isnan(top) else max(top, _score(one))
        tops.append(top)
    numbers = [one.number for one in found.students]
    axes.step(numbers, tops, where="post", color="black", alpha=0.35, linewidth=0.9)
    axes.set_ylim(floor, max(scores) + air)
    _across(axes, "mIoU, %")
    alt = f"{_counted(found.students)}. Best of those that keep the limit: {found.best}."
    return Figure("Score by student", "", to_svg(figure, "students-scores"), alt)


def _times(found: Found) -> Figure:
    figure, axes = blank(_HEIGHT, _WIDTH)
    colors = _colors(found)
    for one in found.students:
        if one.time is not None:
            color = ink(colors[one.family])
            face = color if one.status != "too slow" else "none"
            axes.plot([one.number], [_ms(one)], "o", color=color, markerfacecolor=face)
    if found.limit_ms is not None:
        axes.axhline(found.limit_ms, color="black", linewidth=0.8, alpha=0.5)
    axes.set_ylim(bottom=0)
    _across(axes, "ms per image")
    slow = sum(one.status == "too slow" for one in found.students)
    alt = f"{slow} of {len(found.students)} students were too slow to be trained."
    return Figure("Time by student", "", to_svg(figure, "students-times"), alt)


def _ring(axes: Axes, x: float, one: Student, color: str) -> None:
    axes.plot([x], [_score(one)], "o", color=color, markerfacecolor="none", markersize=11)


def _across(axes: Axes, title: str) -> None:
    tidy(axes, title, "student")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _caution(found: Found) -> str | None:
    if (found.others or 0.0) < BUSY:
        return None
    return (
        f"The machine was busy: other programs took {100 * (found.others or 0.0):.0f} % of its "
        "processors while students were timed, so that times are too long."
    )


def _by_time(found: Found) -> list[Student]:
    return sorted((one for one in found.students if one.status == "done"), key=_ms)


def _has(students: Sequence[Student], family: str) -> bool:
    return any(one.family == family for one in students)


def _colors(found: Found) -> dict[str, str]:
    families = dict.fromkeys(one.family for one in found.students)
    return {family: series_color(place) for place, family in enumerate(families)}


def _counted(students: Sequence[Student]) -> str:
    ends = [one.status for one in students]
    listed = ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends))
    return f"{len(students)} students: {listed}"


def _score(one: Student) -> float:
    return math.nan if one.miou is None else 100 * one.miou


def _ms(one: Student) -> float:
    return math.nan if one.time is None else one.time.median_ms
