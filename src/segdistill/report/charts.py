"""Curves of several runs as SVG that takes its colours and its font from the page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segdistill.report.findings import Group
from segdistill.report.plots import label_axes, series

SERIES_COLORS = 7
"""How many colours the page's style defines, ``--s0`` (the teacher) to ``--s6``."""

_SERIES = "#0a0b{:02x}"  # stand-ins, replaced by what the page defines
_DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))  # type: ignore[assignment]


def color_of(group: Group, groups: Sequence[Group]) -> str:
    """Return the CSS variable of a group's colour: teachers share the first."""
    if group.teacher:
        return "--s0"
    students = [other.place for other in groups if not other.teacher]
    return f"--s{1 + students.index(group.place) % (SERIES_COLORS - 1)}"


def loss_chart(groups: Sequence[Group]) -> Markup | None:
    """Draw the task loss of every run over the steps, None where none was logged.

    The distilled parts are left out: only the task's part means the same in every method.
    """
    return _chart(groups, "Training loss, task part", "train", "task", 1.0)


def miou_chart(groups: Sequence[Group]) -> Markup | None:
    """Draw the mIoU of every run over the steps, None where none was scored on the way."""
    return _chart(groups, "mIoU, %", "evaluation", "miou", 100.0)


def _chart(
    groups: Sequence[Group], title: str, kind: str, key: str, factor: float
) -> Markup | None:
    # About as wide as a phone, so that the text is as large there as it was drawn.
    figure = Figure(figsize=(5.0, 3.1), layout="constrained")
    axes = figure.subplots()
    drawn = sum(_draw(axes, group, groups, kind, key, factor) for group in groups)
    if not drawn:
        return None
    label_axes(axes, title, "step")
    axes.title.set_fontweight("bold")
    axes.margins(x=0.02)
    for spine in axes.spines.values():
        spine.set_alpha(0.35)
    axes.tick_params(length=0)
    return to_svg(figure, key)


def _draw(
    axes: Axes, group: Group, groups: Sequence[Group], kind: str, key: str, factor: float
) -> int:
    number = int(color_of(group, groups)[3:])
    drawn = 0
    for run in group.runs:
        flat = [{**line.get("parts", {}), **line} for line in run.metrics]
        steps, values = series(flat, kind, key)
        if not steps:
            continue
        axes.plot(
            steps,
            [factor * value for value in values],
            color=_SERIES.format(number),
            linestyle=_DASHES[number % 3],
            linewidth=1.6,
            marker="o" if kind == "evaluation" else None,
            markersize=3.2,
        )
        drawn += 1
    return drawn


def to_svg(figure: Figure, name: str) -> Markup:
    """Return a figure as inline SVG whose colours are the page's.

    Args:
        figure: drawn with the stand-in colours of this module; text and axes in black.
        name: unique within the page; prefixes the ids that the SVG refers to.
    """
    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    # The style element inside would restyle the whole page.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"(\.\d\d)\d+", r"\1", re.sub(r"\s*\n\s*", " ", text))
    referred = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))

    def rename(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in referred else ""

    text = re.sub(r' id="([^"]+)"', rename, text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", text)
    for number in range(SERIES_COLORS):
        text = text.replace(_SERIES.format(number), f"var(--s{number})")
    text = re.sub(r"#(000000|b0b0b0|262626)", "currentColor", text)
    # Black text has no fill of its own in the file: it takes the page's.
    text = text.replace(
        "<svg ", '<svg aria-hidden="true" focusable="false" fill="currentColor" ', 1
    )
    return Markup(text)
