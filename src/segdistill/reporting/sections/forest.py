"""Differences to plain: a forest plot for each set of methods in a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdistill.drawing.figure import Figure
from segdistill.reporting.intervals import Line, forest
from segdistill.reporting.material import Material


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the plots, None if nothing was compared on several seeds."""
    figures = forest_plots(material)
    return {"figures": figures} if figures else None


def forest_plots(material: Material) -> list[Figure]:
    """Return a forest plot for each panel whose methods were compared on several seeds."""
    figures = []
    for number, (panel, groups) in enumerate(material.panels.items()):
        lines = [
            Line(
                label=group.name,
                interval=group.comparison.simultaneous,
                seeds=list(group.summary.differences.values()),
                claimed=group.comparison.claims(),
                color=material.colors[group.label],
            )
            for group in groups
            if group.comparison is not None and group.comparison.seeds > 1
        ]
        if lines:
            caption = (
                "mIoU minus that of the plain student under the same seed, in points: mean with "
                "95 % interval (all together), and each seed as a small mark. Solid where a "
                "difference may be claimed."
            )
            title = f"Difference to plain: {panel}" if panel else "Difference to plain"
            figures.append(forest(lines, title=title, caption=caption, name=f"forest{number}"))
    return figures
