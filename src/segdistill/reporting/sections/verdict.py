"""Verdict: sentences that claim no more than the numbers support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from segdistill.catalogue.published import published
from segdistill.config import PLAIN
from segdistill.reporting.advice import advice
from segdistill.reporting.groups import Group
from segdistill.reporting.labels import repeats, training_differences
from segdistill.reporting.material import Material
from segdistill.runs.extensions import read_extensions
from segdistill.studies.growth import tell_looks
from segdistill.studies.statistics import smallest_p
from segdistill.studies.verdict import MARGIN, points, verdict

_LEVEL = 0.05


def show(material: Material) -> Mapping[str, Any]:
    """Return the sentences of the verdict, and remarks on them."""
    remarks = [said for group in material.groups for said in repeats(group.label, group.runs)]
    if material.study is None:
        difference = training_differences([group.runs for group in material.students])
        remarks = [*([difference] if difference else []), *remarks]
    else:
        remarks += tell_looks(read_extensions(material.study.folder))
    if len(material.panels) > 1 and material.study is None:
        remarks.append(
            "The runs were not all scored on the same images in the same way: each such set of "
            "runs has tables of its own."
        )
    remarks += literature(material.groups)
    panels = material.panels.values()
    return {
        "advice": [
            (panel, said)
            for panel, groups in material.panels.items()
            if (said := advice(groups, margin=material.margin))
        ],
        "sentences": [
            sentence for groups in panels for sentence in sentences(groups, margin=material.margin)
        ],
        "caution": caution(material.groups),
        "notes": [*remarks, *material.notes],
    }


def sentences(groups: Sequence[Group], *, margin: float = MARGIN) -> list[str]:
    """Return one sentence per compared method, then one on the student and the teacher."""
    compared = [group for group in groups if group.comparison is not None]
    lines = _on_one_seed(compared)
    if not lines:
        lines = [
            verdict(group.label, group.baseline, group.comparison, margin=margin)
            for group in compared
            if group.comparison is not None and group.baseline is not None
        ]
    students = [group for group in groups if not group.teacher]
    teachers = [group for group in groups if group.teacher]
    lonely = [g for g in students if g.comparison is None and not _is_baseline(g, groups)]
    lines += [_alone(group) for group in lonely or (teachers if not students else [])]
    if not compared and students and not lonely:
        lines += [_alone(group) for group in students]
    if teachers and students:
        lines.append(_against_teacher(max(students, key=lambda group: group.miou), teachers[0]))
    return lines


def caution(groups: Sequence[Group]) -> str | None:
    """Return a warning about the number of seeds, None if there are enough."""
    compared = [group for group in groups if group.comparison is not None]
    if not compared:
        return None
    comparisons = [group.comparison for group in compared if group.comparison is not None]
    seeds = min(comparison.searches or comparison.seeds for comparison in comparisons)
    unit = "searches" if comparisons[0].searches else "paired seeds"
    smallest = max(comparison.smallest_p for comparison in comparisons)
    enough = next(n for n in count(1) if smallest_p(n) <= _LEVEL)
    if seeds == 1:
        return (
            "There is one seed per method, so the spread between seeds is unknown, and it is often "
            f"as large as the gains that papers report. Repeat with {enough} seeds or more, "
            "paired, before believing a difference."
        )
    if smallest > _LEVEL:
        return (
            f"{seeds} {unit} cannot give a p below {smallest:.2g} here, whatever the gain: "
            f"{enough} are needed to reach {_LEVEL:g}."
        )
    return None


def literature(groups: Sequence[Group]) -> list[str]:
    """Compare plain students with published scores of the same network on the same split."""
    lines = []
    for group in groups:
        run = group.runs[0]
        student, data = run.settings.get("student") or {}, run.settings.get("data") or {}
        names = str(student.get("network")), str(student.get("backbone"))
        known = published(str(data.get("dataset")), run.result.split, *names)
        if group.teacher or run.method != PLAIN or not known:
            continue
        listed = ", ".join(f"{score.miou:.1f} ({score.source})" for score in known)
        lines.append(
            f"{group.label} reaches {100 * group.miou:.1f} mIoU; papers report for "
            f"{names[0]} on {names[1]} without distillation: {listed}. Their recipes differ, but "
            "a gain over a plain student that lies far below them says little."
        )
    return lines


def _is_baseline(group: Group, groups: Sequence[Group]) -> bool:
    return any(other.baseline == group.label for other in groups)


def _alone(group: Group) -> str:
    result = group.runs[0].result
    over = f", mean of {group.seeds} seeds," if group.seeds > 1 else ""
    images = f" on {result.images:,} {result.split} images" if result.images else ""
    return f"{group.label} reaches {100 * group.miou:.1f} mIoU{over}{images}."


def _on_one_seed(compared: Sequence[Group]) -> list[str]:
    """Return one sentence for all methods if each was compared on one seed, else none."""
    changes = [
        f"{group.label} scored {points(group.comparison.difference.estimate)}"
        for group in compared
        if group.comparison is not None and group.comparison.seeds == 1
    ]
    baselines = {group.baseline for group in compared}
    if not changes or len(changes) < len(compared) or len(baselines) > 1:
        return []
    listed = ", ".join(changes[:-1]) + " and " * (len(changes) > 1) + changes[-1]
    return [
        f"On one seed, {listed} mIoU points against {compared[0].baseline}: "
        "no proof of a difference between the methods."
    ]


def _against_teacher(student: Group, teacher: Group) -> str:
    gap = student.miou - teacher.miou
    large, small = (group.summary.mean_of("params_m") for group in (teacher, student))
    size = ""
    if large and small and large > small:
        size = f", with {large / small:.3g} times fewer parameters"
    side = "below" if gap < 0 else "above"
    return (
        f"The highest student mIoU, that of {student.label}, is {100 * abs(gap):.1f} points "
        f"{side} the teacher's{size}."
    )
