"""Runs that differ by seed alone, gathered and compared with the plain ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from segdistill.config import PLAIN
from segdistill.reporting.runs import Run
from segdistill.studies.comparison import Comparison, compare_by_seed
from segdistill.studies.statistics import ranks

Seeds = tuple[Any, Any]
"""What pairs runs: data seed and own seed."""

SERIES_COLORS = 7
"""How many colours the page's style defines, ``--s0`` (teachers) to ``--s6``."""


@dataclass(frozen=True)
class Group:
    """Runs that differ by seed alone.

    Attributes:
        label: what tables call it, unique within a report.
        name: its method's name, unique within its pair.
        runs: at least one.
        pair: teacher and student that it belongs to; empty where a report has one pair.
        baseline: label of the group that it is compared with: the same network without a
            teacher.
        comparison: with the baseline, None where there is none.
        paired: the seeds that the comparison is over.
    """

    label: str
    name: str
    runs: tuple[Run, ...]
    pair: str = ""
    baseline: str | None = None
    comparison: Comparison | None = None
    paired: tuple[Seeds, ...] = ()

    @property
    def teacher(self) -> bool:
        return self.runs[0].teacher

    @property
    def miou(self) -> float:
        """Mean over seeds."""
        return fmean(self.scores.values())

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds, None for one."""
        return stdev(self.scores.values()) if len(self.runs) > 1 else None

    @property
    def scores(self) -> dict[Seeds, float]:
        """The mIoU of each run by what pairs it."""
        return {run.seeds: float(run.result["miou"]) for run in self.runs}

    @property
    def best(self) -> float | None:
        """Mean over seeds of the best mIoU on the way, None where none was scored there."""
        found = [run.result["best"]["miou"] for run in self.runs if run.result.get("best")]
        return fmean(found) if found else None

    def iou(self, name: str) -> float | None:
        """Return a class's IoU, mean over the seeds that have one."""
        values = [run.result["iou"].get(name) for run in self.runs]
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    def mean(self, key: str) -> float | None:
        """Return the mean of a number of ``result.json`` over the runs that have it."""
        values = [run.result.get(key) for run in self.runs]
        known = [float(value) for value in values if value is not None]
        return fmean(known) if known else None


def group(runs: Sequence[Run]) -> list[Group]:
    """Gather runs by what they trained and compare each group with the plain one.

    Args:
        runs: as :func:`segdistill.reporting.runs.read_runs` returns them.

    Returns:
        The groups, in the order of their first runs; p values are corrected by Holm over
        the methods of one network.
    """
    kinds: dict[tuple[bool, str, str], list[Run]] = {}
    for run in runs:
        kinds.setdefault((run.teacher, *run.kind), []).append(run)
    labels = _labels(list(kinds.values()))
    groups = [
        Group(label, label, tuple(members))
        for label, members in zip(labels, kinds.values(), strict=True)
    ]
    networks: dict[str, list[Group]] = {}
    for (teacher, network, _), one in zip(kinds, groups, strict=True):
        if not teacher:
            networks.setdefault(network, []).append(one)
    compared: dict[str, Group] = {}
    for rivals in networks.values():
        base = next((one for one in rivals if one.runs[0].method == PLAIN), None)
        if base is not None:
            compared |= {one.label: one for one in against(rivals, base)}
    return [compared.get(one.label, one) for one in groups]


def against(groups: Sequence[Group], base: Group) -> list[Group]:
    """Return the groups, each but the baseline compared with it over the seeds that both have.

    Args:
        groups: methods of one student network, the baseline among them.
        base: the baseline.
    """
    table = {one.label: one.scores for one in groups if one is not base}
    found = compare_by_seed(table, base.scores)
    return [
        replace(
            one,
            baseline=base.label,
            comparison=found[one.label],
            paired=tuple(seed for seed in base.scores if seed in one.scores),
        )
        if one.label in found
        else one
        for one in groups
    ]


def mean_ranks(groups: Sequence[Group]) -> dict[str, float]:
    """Return the mean rank over seeds of the students of one pair, empty without two to rank.

    Args:
        groups: of one pair; teachers are left out.
    """
    students = [one for one in groups if not one.teacher]
    if len(students) < 2:
        return {}
    shared = [s for s in students[0].scores if all(s in one.scores for one in students)]
    if not shared:
        return {}
    return ranks({one.label: [one.scores[seed] for seed in shared] for one in students})


def panels(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Return the groups by pair, in order; a teacher that all pairs share is in each."""
    students = dict.fromkeys(one.pair for one in groups if not one.teacher)
    if not students:
        return {"": list(groups)}
    return {pair: [one for one in groups if one.pair in (pair, "")] for pair in students}


def color_of(group: Group, groups: Sequence[Group]) -> str:
    """Return the CSS variable of a group's colour: teachers share the first.

    A method has the same colour in every pair.
    """
    return "--s0" if group.teacher else color_of_method(group.name, groups)


def color_of_method(name: str, groups: Sequence[Group]) -> str:
    """Return the CSS variable of a method's colour, the teachers' for one without a group."""
    names = list(dict.fromkeys(one.name for one in groups if not one.teacher))
    return f"--s{1 + names.index(name) % (SERIES_COLORS - 1)}" if name in names else "--s0"


def _labels(members: Sequence[Sequence[Run]]) -> list[str]:
    labels = []
    for runs in members:
        names = {str(run.result.get("name")) for run in runs}
        labels.append(runs[0].label if len(runs) == 1 else _common(names, runs[0]))
    return [
        label if labels.count(label) == 1 else f"{label} ({runs[0].network or place + 1})"
        for place, (label, runs) in enumerate(zip(labels, members, strict=True))
    ]


def _common(names: set[str], run: Run) -> str:
    return names.pop() if len(names) == 1 else run.method
