"""One drawing of the page with the words that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """A drawing with its title, caption and description.

    Attributes:
        title: heading, a few words, no full stop.
        caption: what is drawn and how to read it, one or two sentences.
        svg: inline SVG as :func:`segdistill.drawing.svg.to_svg` returns it: colours and
            font are the page's, ids are unique within the page.
        alt: what a reader who cannot see it has to know, its main numbers included.
        legend: what is drawn, by label: its colour, a CSS variable; empty if the drawing says
            it itself.
    """

    title: str
    caption: str
    svg: Markup
    alt: str
    legend: Mapping[str, str] = field(default_factory=dict)
