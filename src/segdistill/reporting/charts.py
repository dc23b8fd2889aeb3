"""Curves of several runs as SVG that takes its colours and its font from the page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from statistics import fmean

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from segdistill.reporting.figure import Figure
from segdistill.reporting.groups import SERIES_COLORS, Group, color_of, panels
from segdistill.reporting.plots import label_axes, series
from segdistill.reporting.runs import Run

_SERIES = "#0a0b{:02x}"  # stand-ins, replaced by what the page defines
_DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))  # type: ignore[assignment]
_MOST_POINTS = 250  # of a curve: more than a page has pixels for


def ink(color: str) -> str:
    """Return the stand-in that matplotlib draws with for one of the page's ``--s0`` to ``--s6``."""
    return _SERIES.format(int(color.removeprefix("--s")))


def blank(width: float, height: float) -> tuple[Canvas, Axes]:
    """Return a figure and its axes; at 5 inches, a phone's width, text is as large as drawn."""
    canvas = Canvas(figsize=(width, height), layout="constrained")
    return canvas, canvas.subplots()


def tidy(axes: Axes, title: str, across: str) -> None:
    """Title a chart and strip it of what carries no information."""
    label_axes(axes, title, across)
    axes.title.set_fontweight("bold")
    for spine in axes.spines.values():
        spine.set_alpha(0.35)
    axes.tick_params(length=0)


def loss_chart(groups: Sequence[Group], pair: str | None = None) -> Figure | None:
    """Draw the task loss of every group over the steps, None where none was logged.

    The distilled parts are left out: only the task's part means the same in every method.

    Args:
        groups: all of the page, which fix the colours.
        pair: which of them to draw; all where it is None.
    """
    return _chart(groups, pair, "Training loss, task part", "train", "task", 1.0)


def miou_chart(groups: Sequence[Group], pair: str | None = None) -> Figure | None:
    """Draw the mIoU of every group over the steps, None where none was scored on the way.

    Args:
        groups: see :func:`loss_chart`.
        pair: see :func:`loss_chart`.
    """
    return _chart(groups, pair, "mIoU, %", "evaluation", "miou", 100.0)


def _chart(
    groups: Sequence[Group], pair: str | None, title: str, kind: str, key: str, factor: float
) -> Figure | None:
    canvas, axes = blank(5.0, 3.0)
    members = groups if pair is None else panels(groups)[pair]
    ends = {
        one.label: end
        for one in members
        if (end := _draw(axes, one, color_of(one, groups), kind, key, factor)) is not None
    }
    if not ends:
        return None
    tidy(axes, "", "step")
    axes.margins(x=0.02)
    place = "" if not pair else str(list(panels(groups)).index(pair))
    title = f"{title}: {pair}" if pair else title
    said = "; ".join(f"{label}: {end:.3g}" for label, end in ends.items())
    alt = f"{title}, over the training steps. Last value of each: {said}."
    return Figure(title, "", to_svg(canvas, f"{key}{place}"), alt)


def _draw(axes: Axes, group: Group, color: str, kind: str, key: str, factor: float) -> float | None:
    """Draw the mean over seeds and the range of the seeds; return the last mean, if any."""
    found = [curve for run in group.runs if (curve := _curve(run, kind, key))]
    steps = [step for step in found[0] if all(step in curve for curve in found)] if found else []
    if not steps:
        return None
    steps = steps[:: 1 + len(steps) // _MOST_POINTS]
    values = [[factor * curve[step] for curve in found] for step in steps]
    axes.plot(
        steps,
        [fmean(at) for at in values],
        color=ink(color),
        linestyle=_DASHES[int(color[3:]) % 3],
        linewidth=1.6,
        marker="o" if kind == "evaluation" else None,
        markersize=3.2,
    )
    if len(found) > 1:
        low, high = [min(at) for at in values], [max(at) for at in values]
        axes.fill_between(steps, low, high, color=ink(color), alpha=0.14, linewidth=0)
    return fmean(values[-1])


def _curve(run: Run, kind: str, key: str) -> dict[int, float]:
    flat = [{**line.get("parts", {}), **line} for line in run.metrics]
    return dict(zip(*series(flat, kind, key), strict=True))


def to_svg(figure: Canvas, name: str) -> Markup:
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
