"""What the numbers of a few runs say, in sentences that claim no more than they carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean

from segdistill.report.runs import Run
from segdistill.study.comparison import Comparison, compare_all
from segdistill.study.statistics import smallest_p
from segdistill.study.verdict import points, verdict

_LEVEL = 0.05


@dataclass(frozen=True)
class Group:
    """Runs that differ by seed alone.

    Attributes:
        label: their common name, or their method where names differ.
        runs: at least one.
        place: its place among the groups, which fixes its colour.
        baseline: the group that it is compared with: the same network without a teacher.
        comparison: with the baseline, over the seeds that both have; None where there is none.
    """

    label: str
    runs: tuple[Run, ...]
    place: int
    baseline: str | None = None
    comparison: Comparison | None = None

    @property
    def teacher(self) -> bool:
        return self.runs[0].teacher

    @property
    def miou(self) -> float:
        """Mean over seeds."""
        return fmean(run.result["miou"] for run in self.runs)

    def iou(self, name: str) -> float | None:
        """Return a class's IoU, mean over the seeds that have one."""
        values = [run.result["iou"].get(name) for run in self.runs]
        known = [value for value in values if value is not None]
        return fmean(known) if known else None


def group(runs: Sequence[Run]) -> list[Group]:
    """Gather runs by kind and compare each group with the plain one of its network.

    Args:
        runs: as :func:`segdistill.report.runs.read_runs` returns them.

    Returns:
        The groups, in the order of their first runs; p values are corrected by Holm over
        the methods of one network.
    """
    kinds: dict[tuple[bool, str, str], list[Run]] = {}
    for run in runs:
        kinds.setdefault((run.teacher, *run.kind), []).append(run)
    labels = _labels(list(kinds.values()))
    groups = []
    for place, ((teacher, network, _), members) in enumerate(kinds.items()):
        rivals = {
            labels[other]: found
            for other, ((is_teacher, net, _), found) in enumerate(kinds.items())
            if not is_teacher and net == network
        }
        base = next((name for name, found in rivals.items() if found[0].method == "plain"), None)
        compared = None
        if not teacher and base is not None and labels[place] != base:
            compared = _compare(rivals, base).get(labels[place])
        baseline = base if compared is not None else None
        groups.append(Group(labels[place], tuple(members), place, baseline, compared))
    return groups


def sentences(groups: Sequence[Group]) -> list[str]:
    """Return the verdict: one sentence a compared method, then what the student costs."""
    compared = [one for one in groups if one.comparison is not None]
    found = _on_one_seed(compared)
    if not found:
        found = [
            verdict(one.label, one.baseline, one.comparison)
            for one in compared
            if one.comparison is not None and one.baseline is not None
        ]
    students = [group for group in groups if not group.teacher]
    teachers = [group for group in groups if group.teacher]
    if not found:
        found = [_alone(group) for group in students or teachers]
    if teachers and students:
        found.append(_against_teacher(max(students, key=lambda group: group.miou), teachers[0]))
    return found


def caution(groups: Sequence[Group]) -> str | None:
    """Return what the reader has to know about the number of seeds, None with enough."""
    compared = [one for one in groups if one.comparison is not None]
    if not compared:
        return None
    found = [one.comparison for one in compared if one.comparison is not None]
    seeds = min(comparison.seeds for comparison in found)
    smallest = max(comparison.smallest_p for comparison in found)
    methods = max(Counter(one.baseline for one in compared).values())
    enough = next(n for n in count(1) if methods * smallest_p(n) <= _LEVEL)
    if seeds == 1:
        return (
            "One seed a method: the spread between seeds is unknown here, and it is often as "
            f"large as the gains that papers report. Repeat with {enough} seeds or more, "
            "paired, before believing a difference."
        )
    if smallest > _LEVEL:
        return (
            f"{seeds} paired seeds cannot give a p below {smallest:.2g} here, whatever the gain: "
            f"{enough} are needed to reach {_LEVEL:g}."
        )
    return None


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


def _compare(rivals: dict[str, list[Run]], base: str) -> dict[str, Comparison]:
    """Compare groups of one network over the seeds that all of them have."""
    scores = {
        name: {run.seeds: float(run.result["miou"]) for run in runs}
        for name, runs in rivals.items()
    }
    shared = [seed for seed in scores[base] if all(seed in found for found in scores.values())]
    if not shared:
        return {}
    table = {name: [found[seed] for seed in shared] for name, found in scores.items()}
    baseline = table.pop(base)
    return compare_all(table, baseline)


def _alone(group: Group) -> str:
    result = group.runs[0].result
    over = f", mean of {len(group.runs)} seeds," if len(group.runs) > 1 else ""
    images = f" on {result['images']:,} {result.get('split', '')} images".replace("  ", " ")
    return f"{group.label} reaches {100 * group.miou:.1f} mIoU{over}{images}."


def _on_one_seed(compared: Sequence[Group]) -> list[str]:
    """Return one sentence for all methods where each met its baseline once, else none."""
    changes = [
        f"{one.label} scored {points(one.comparison.difference.estimate)}"
        for one in compared
        if one.comparison is not None and one.comparison.seeds == 1
    ]
    if not changes or len(changes) < len(compared) or len({o.baseline for o in compared}) > 1:
        return []
    listed = ", ".join(changes[:-1]) + " and " * (len(changes) > 1) + changes[-1]
    return [
        f"On one seed, {listed} mIoU points against {compared[0].baseline}: "
        "no proof of a difference between the methods."
    ]


def _against_teacher(student: Group, teacher: Group) -> str:
    gap = student.miou - teacher.miou
    large, small = (one.runs[0].result.get("params_m") for one in (teacher, student))
    size = ""
    if large and small and large > small:
        size = f", with {large / small:.3g} times fewer parameters"
    side = "below" if gap < 0 else "above"
    return (
        f"The highest student mIoU, that of {student.label}, is {100 * abs(gap):.1f} points "
        f"{side} the teacher's{size}."
    )
