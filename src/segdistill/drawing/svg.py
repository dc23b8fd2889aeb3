"""Charts as SVG that takes its colours and font from the surrounding page."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

SERIES_COLORS = 7
"""The number of colours that the page's style defines, ``--s0`` (teachers) to ``--s6``."""

FULL_WIDTH = 5.0
"""Width in inches of a chart as wide as a phone, where one point is one pixel of the page."""

TEXT_SIZE = 13.2
"""Size of all text in points: 12 pixels on a phone 390 pixels wide, the smallest display."""

BLACK, WHITE = "#000001", "#fffffe"
"""For marks on pictures, which look the same on a light and a dark page."""

_SERIES = "#0a0b{:02x}"  # placeholders, replaced by the colours that the page defines


def ink(color: str) -> str:
    """Return the placeholder colour that matplotlib uses for one of ``--s0`` to ``--s6``."""
    return _SERIES.format(int(color.removeprefix("--s")))


def series_color(place: int) -> str:
    """Return the CSS variable of the n-th series other than the teacher, counted from 0."""
    return f"--s{1 + place % (SERIES_COLORS - 1)}"


def canvas(height: float, width: float = FULL_WIDTH) -> Canvas:
    """Return an empty figure of the given size in inches."""
    return Canvas(figsize=(width, height), layout="constrained")


def blank(height: float, width: float = FULL_WIDTH) -> tuple[Canvas, Axes]:
    """Return a figure of the given size in inches, and its axes."""
    figure = canvas(height, width)
    return figure, figure.subplots()


def tidy(axes: Axes, title: str, across: str) -> None:
    """Title a chart and remove everything that carries no information."""
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel(across)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3, linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_alpha(0.35)
    axes.tick_params(length=0)


def zero_line(axes: Axes) -> None:
    """Mark the value 0 across a chart."""
    axes.axhline(0, color="black", linewidth=0.8, alpha=0.6)


def log_across(axes: Axes) -> None:
    """Make the horizontal axis logarithmic, labelled with a few plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def to_svg(figure: Canvas, name: str) -> Markup:
    """Return a figure as inline SVG in the page's colours, with readable text.

    Args:
        figure: drawn with the placeholder colours of this module; text and axes in black.
        name: unique within the page; used as a prefix of the ids that the SVG refers to.
    """
    for axes in figure.axes:
        for part in (axes, *axes.child_axes):
            part.tick_params(labelsize=TEXT_SIZE)
    for text in figure.findobj(Text):
        text.set_fontsize(TEXT_SIZE)
    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return Markup(_for_page(out.getvalue(), name))


def _for_page(text: str, name: str) -> str:
    """Remove what the page already has, and leave size, font and colours to the page."""
    text = text[text.index("<svg") :]
    # The style element inside would restyle the whole page.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'"data:[^"]*"', lambda address: "".join(address[0].split()), text)
    text = re.sub(r"(\.\d\d)\d+", r"\1", re.sub(r"\s*\n\s*", " ", text))
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", _unique_ids(text, name))
    for number in range(SERIES_COLORS):
        text = text.replace(_SERIES.format(number), f"var(--s{number})")
    text = re.sub(r"#(000000|b0b0b0|262626)", "currentColor", text)
    text = text.replace(BLACK, "black").replace(WHITE, "white")
    # Bring a class's own colour closer to that of the text, so that it stands out from the page.
    text = re.sub(r"(#[0-9a-f]{6})", r"color-mix(in srgb, \1 86%, currentColor)", text)
    # Black text has no fill of its own in the file, so it takes the page's.
    return text.replace(
        "<svg ", '<svg aria-hidden="true" focusable="false" fill="currentColor" ', 1
    )


def _unique_ids(text: str, name: str) -> str:
    """Keep only ids that are referred to, with a prefix that makes them unique in the page."""
    referred = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))

    def rename(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in referred else ""

    text = re.sub(r' id="([^"]+)"', rename, text)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
