"""IoU by class: each group's, its difference to the plain student, and its significance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segdistill.drawing.figure import Figure
from segdistill.reporting.groups import Group
from segdistill.reporting.intervals import Line, forest
from segdistill.reporting.material import Material
from segdistill.studies.comparison import Comparison

_MOST_LINES = 30  # number of classes in a plot that fits on a page


@dataclass(frozen=True)
class Cell:
    """One class of one group.

    Attributes:
        value: mean IoU over seeds; None if the class occurs in neither labels nor predictions.
        comparison: comparison with the plain student over the shared seeds, corrected for the
            number of classes; None if there is nothing to compare.
        width: width of the bar for the difference, in percent of the column.
    """

    value: float | None
    comparison: Comparison | None
    width: float = 0.0

    @property
    def change(self) -> float | None:
        """IoU minus that of the plain student."""
        return None if self.comparison is None else self.comparison.difference.estimate

    @property
    def tested(self) -> bool:
        """Whether several seeds were compared."""
        return self.comparison is not None and self.comparison.seeds > 1


def show(material: Material) -> Mapping[str, Any]:
    """Return a table of classes per set of comparable runs, and a plot for each tested method."""
    # The pairs of a study were scored on the same images and share a table.
    together = material.study is not None or len(material.panels) == 1
    panels = {"": list(material.groups)} if together else material.panels
    figures = class_plots(material)
    return {
        "tables": [
            {"panel": panel, "groups": groups, "rows": class_rows(groups)}
            for panel, groups in panels.items()
        ],
        "colors": material.colors,
        "several": material.several_seeds,
        "compared": bool(material.compared),
        "figures": figures,
    }


def class_colors(groups: Sequence[Group]) -> dict[str, str]:
    """Return the CSS colour of each class, empty if no run has kept them."""
    return {
        name: "#{:02x}{:02x}{:02x}".format(*color)
        for group in groups
        for name, color in group.runs[0].result.colors.items()
    }


def class_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return a row per class: its name, its colour and a cell for each group."""
    names = dict.fromkeys(name for group in groups for name in group.runs[0].result.iou)
    table = {
        name: [Cell(group.summary.iou(name), group.summary.classes.get(name)) for group in groups]
        for name in names
    }
    changes = [abs(cell.change) for cells in table.values() for cell in cells if cell.change]
    largest = max(changes, default=1.0)
    colors = class_colors(groups)
    return [
        {
            "name": name,
            "color": colors.get(name),
            "cells": [
                Cell(cell.value, cell.comparison, 50 * abs(cell.change or 0) / largest)
                for cell in cells
            ],
        }
        for name, cells in table.items()
    ]


def class_plots(material: Material) -> list[Figure]:
    """Return a forest plot of class differences for each method with several seeds."""
    figures = []
    for number, group in enumerate(material.groups):
        classes = group.summary.classes
        if group.comparison is None or group.comparison.seeds < 2 or not classes:
            continue
        names = sorted(classes, key=lambda name: -abs(classes[name].difference.estimate))
        shown = sorted(names[:_MOST_LINES], key=lambda name: -classes[name].difference.estimate)
        lines = [
            Line(
                name,
                classes[name].simultaneous,
                group.summary.class_differences[name],
                classes[name].claims(),
                material.colors[group.label],
            )
            for name in shown
        ]
        caption = "IoU minus that of the plain student under the same seed, largest gain first."
        if len(names) > len(shown):
            rest = len(names) - len(shown)
            caption += f" The {rest} classes that change least are in the table only."
        figures.append(
            forest(
                lines,
                title=group.label,
                caption=caption,
                name=f"classes{number}",
                unit="IoU points",
            )
        )
    return figures
