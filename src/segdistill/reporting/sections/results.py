"""Results: a row per method with its difference to plain, and a row per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segdistill.reporting.groups import Group, baseline_of
from segdistill.reporting.material import Material


def show(material: Material) -> Mapping[str, Any]:
    """Return the tables of methods and of runs, separately for each set of comparable runs."""
    absent = {name for run in material.runs for name in run.result.absent_classes}
    least = {f"{group.comparison.smallest_p:.2g}" for group in material.groups if group.comparison}
    return {
        "tables": [_table(panel, groups, material) for panel, groups in material.panels.items()],
        "several": material.several_seeds,
        "compared": bool(material.compared),
        "with_best": any(run.result.best for run in material.runs),
        "least": sorted(least),
        "twice": any(len(group.runs) > group.seeds for group in material.groups),
        "absent": sorted(absent),
        "cost_size": material.cost_size,
        "other_size": _other_size(material),
        "timings": material.timings,
    }


def _table(panel: str, groups: Sequence[Group], material: Material) -> dict[str, Any]:
    methods = [{"group": group, "color": material.colors[group.label]} for group in groups]
    runs = [row for group in groups for row in _run_rows(group, material)]
    return {"panel": panel, "methods": methods, "runs": runs}


def _run_rows(group: Group, material: Material) -> list[dict[str, Any]]:
    baseline = baseline_of(group, material.groups)
    rows = []
    for run in group.runs:
        result = run.result
        twin = None if baseline is None else baseline.summary.scores.get(run.seeds)
        rows.append(
            {
                "run": run,
                "color": material.colors[group.label],
                "miou": result.miou,
                "change": None if twin is None else result.miou - twin,
                "best": None if result.best is None else result.best.miou,
                "accuracy": result.pixel_accuracy,
                "params_m": material.student_cost(run, "params_m"),
                "gflops": material.student_cost(run, "gflops"),
                "latency": material.timings.of.get(group.label),
                "seconds": result.seconds if group in material.trained else None,
            }
        )
    return rows


def _other_size(material: Material) -> bool:
    """Return whether the costs of some run are left out because they are for another size."""
    costs = [run.result.cost for run in material.runs if run.result.cost is not None]
    return any(cost.cost_size not in (None, material.cost_size) for cost in costs)
