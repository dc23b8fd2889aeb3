"""IoU by class: each group's, its change to the plain student, and whether seeds prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from segdistill.reporting.figure import Figure
from segdistill.reporting.forest import Line, forest
from segdistill.reporting.groups import Group, color_of
from segdistill.studies.comparison import Comparison, compare_all

_MOST_LINES = 30  # classes of a plot that still fits a page


@dataclass(frozen=True)
class Cell:
    """One class of one group.

    Attributes:
        value: IoU, mean over seeds; None where neither truth nor prediction have the class.
        change: the same minus the baseline's, None where there is nothing to compare.
        found: differences by seed, compared and corrected over the classes; None for one seed.
        width: of the bar that shows the change, in percent of the column.
    """

    value: float | None
    change: float | None
    found: Comparison | None
    width: float = 0.0


def class_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Return a row a class: its name, its colour and a cell for each group."""
    result = groups[0].runs[0].result
    by_label = {one.label: one for one in groups}
    compared = {one.label: class_comparisons(one, groups) for one in groups}
    table: dict[str, list[Cell]] = {}
    for name in result["iou"]:
        for one in groups:
            value, change = one.iou(name), None
            if one.baseline is not None:
                base = by_label[one.baseline].iou(name)
                change = None if value is None or base is None else value - base
            found = compared[one.label].get(name)
            if found is not None:
                change = found.difference.estimate
            table.setdefault(name, []).append(Cell(value, change, found))
    changes = [abs(cell.change) for cells in table.values() for cell in cells if cell.change]
    largest = max(changes, default=1.0)
    rows = []
    for name, cells in table.items():
        color = result.get("colors", {}).get(name)
        drawn = [
            Cell(cell.value, cell.change, cell.found, 50 * abs(cell.change or 0) / largest)
            for cell in cells
        ]
        code = "#{:02x}{:02x}{:02x}".format(*color) if color else None
        rows.append({"name": name, "color": code, "cells": drawn})
    return rows


def class_comparisons(group: Group, groups: Sequence[Group]) -> dict[str, Comparison]:
    """Compare a group with its baseline class by class, corrected by Holm over the classes.

    Args:
        group: of two seeds or more, to have anything to compare.
        groups: all, the baseline among them.

    Returns:
        By class name; without the classes that a run has no IoU of. Mean and deviation are
        those of the differences over seeds.
    """
    table = _differences(group, groups)
    seeds = max(map(len, table.values()), default=0)
    return compare_all(table, [0.0] * seeds) if seeds > 1 else {}


def class_plots(groups: Sequence[Group]) -> list[Figure]:
    """Return a forest plot of class differences for each method with several seeds."""
    found = []
    for one in groups:
        compared = class_comparisons(one, groups)
        if not compared:
            continue
        seeds = _differences(one, groups)
        names = sorted(compared, key=lambda name: -abs(compared[name].difference.estimate))
        shown = sorted(names[:_MOST_LINES], key=lambda name: -compared[name].difference.estimate)
        lines = [
            Line(
                name,
                compared[name].difference,
                seeds[name],
                compared[name].claims(),
                color_of(one, groups),
            )
            for name in shown
        ]
        rest = len(names) - len(shown)
        caption = "IoU minus that of the plain student under the same seed, largest gain first."
        if rest > 0:
            caption += f" The {rest} classes that change least are in the table only."
        name = f"classes{groups.index(one)}"
        found.append(forest(lines, title=one.label, caption=caption, name=name, unit="IoU points"))
    return found


def _differences(group: Group, groups: Sequence[Group]) -> dict[str, list[float]]:
    """Return IoU minus the baseline's by class, one a seed that is compared."""
    base = next((one for one in groups if one.label == group.baseline), None)
    if base is None:
        return {}
    own, twins = ({run.seeds: run for run in one.runs} for one in (group, base))
    both = [(own[seed], twins[seed]) for seed in group.paired]
    found = {}
    for name in group.runs[0].result["iou"]:
        pairs = [(one.result["iou"].get(name), two.result["iou"].get(name)) for one, two in both]
        known = [(one, two) for one, two in pairs if one is not None and two is not None]
        if len(known) == len(both):
            found[name] = [one - two for one, two in known]
    return found
