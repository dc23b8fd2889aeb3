"""One drawing of the page with the words that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """A drawing with its title, caption and description.

    Attributes:
        title: heading of a few words, without a full stop.
        caption: what is drawn and how to read it, in one or two sentences.
        svg: inline SVG as :func:`segdistill.drawing.svg.to_svg` returns it: colours and
            font are the page's, ids are unique within the page.
        alt: what a reader who cannot see it has to know, including its main numbers.
        legend: the colour, a CSS variable, of everything that is drawn, by label; empty if the
            drawing has its own labels.
    """

    title: str
    caption: str
    svg: Markup
    alt: str
    legend: Mapping[str, str] = field(default_factory=dict)
