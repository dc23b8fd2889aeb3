"""Titles and captions shared by the figures of all analyses, and the colours of methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill.drawing.svg import series_color


@dataclass(frozen=True)
class Place:
    """The context of a figure.

    Attributes:
        folder: the study, cohort or run folder that was analysed.
        name: prefix of the drawing's ids, unique within the page.
        colors: CSS variable by method, including the teacher's.
    """

    folder: Path
    name: str
    colors: Mapping[str, str]


def method_colors(values: Mapping[str, Any]) -> dict[str, str]:
    """Return default colours for an analysis's methods."""
    methods = [name for name in values["runs"] if name != "teacher"]
    return {name: series_color(i) for i, name in enumerate(methods)} | {"teacher": "--s0"}


def titled(text: str, values: Mapping[str, Any]) -> str:
    """Return a title, followed by the pair if there are several."""
    return f"{text}: {values['pair']}" if values["pair"] else text


def provenance(values: Mapping[str, Any]) -> str:
    """Return seeds and source for the end of a caption."""
    data, seed = min((run["data_seed"], run["seed"]) for run in values["runs"].values())
    seeds = f"data seed {data}, seed {seed}" if data != seed else f"seed {seed}"
    source = f" After {values['source']}." if values["source"] else ""
    return f"One seed ({seeds}).{source}"
