"""Formatting of numbers and names on the page: the filters of its templates."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

MISSING = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction in percent, without the percent sign."""
    return MISSING if value is None else f"{100 * value:.{digits}f}"


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with a fixed number of decimals."""
    return MISSING if value is None else f"{value:,.{digits}f}"


def brief(value: float | None) -> str:
    """Return a number with three significant digits, or all digits before the decimal point."""
    return MISSING if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def breakable(name: str) -> Markup:
    """Let a long name break after its separators on a narrow screen."""
    return Markup(re.sub(r"([_+/])", r"\1<wbr>", str(escape(name))))


def unbroken(sentence: str) -> str:
    """Keep an equation, and a number with its unit, on one line."""
    return re.sub(r" (?==)|(?<==) |(?<=\d) (?=%|seeds|mIoU)", "\u00a0", sentence)
