"""What the numbers of a few runs say, in sentences that claim no more than they carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count

from segdistill.reporting.groups import Group
from segdistill.studies.statistics import smallest_p
from segdistill.studies.verdict import points, verdict

_LEVEL = 0.05


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
