"""Advice in three sentences: which student to ship, how certain that is, and what would help."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from statistics import stdev

from segdistill.reporting.groups import Group, baseline_of
from segdistill.studies.statistics import power, smallest_p
from segdistill.studies.verdict import points, sample_of, unit_of

_POWER = 0.8
_LEVEL = 0.05
_MOST = 1000  # seeds or searches; advising more would be pointless


def advice(groups: Sequence[Group], *, margin: float) -> list[str]:
    """Return what to ship, how certain that is, and what would make it more certain.

    Args:
        groups: groups in the same table.
        margin: largest difference that does not matter, as a fraction.

    Returns:
        Three sentences, empty if nothing was compared.
    """
    compared = [g for g in groups if len(g.summary.sample) > 1]
    if not compared:
        return _of_one_seed(groups)
    better = [g for g in compared if g.comparison is not None and g.comparison.claims()]
    better = [g for g in better if g.comparison and g.comparison.difference.estimate > 0]
    leader = max(better or compared, key=lambda group: group.miou)
    return [
        _ship(leader, bool(better), compared, groups),
        _sure(leader, bool(better)),
        _surer(leader, bool(better), len(compared), _seconds_per_seed(groups), margin),
    ]


def _of_one_seed(groups: Sequence[Group]) -> list[str]:
    """Return the same for methods compared on one seed each: nothing is decided."""
    compared = [g for g in groups if g.comparison is not None]
    if not compared:
        return []
    rivals = [
        *compared,
        *(baseline for g in compared if (baseline := baseline_of(g, groups)) is not None),
    ]
    leader = max(rivals, key=lambda group: group.miou)
    more = next(n for n in count(1) if smallest_p(n) <= _LEVEL) - 1
    return [
        f"Which student to ship: not decided. {leader.label} scored highest, "
        f"{100 * leader.miou:.1f} mIoU.",
        "How sure: not at all. One seed cannot tell a gain from chance.",
        f"What would make it surer: {more} more seeds{_hours(more, _seconds_per_seed(groups))} "
        "are the fewest that can prove a gain.",
    ]


def seeds_needed(gain: float, deviation: float, methods: int) -> int | None:
    """Return the seeds or searches that find a true gain 80 times in 100, None above a thousand.

    The level is divided by the number of methods, which is sufficient for the joint test.

    Args:
        gain: true mean difference, above 0.
        deviation: standard deviation of the differences over seeds or searches.
        methods: number of methods compared with the baseline.
    """
    if deviation <= 0:
        return next(n for n in count(1) if smallest_p(n) <= _LEVEL)
    able = (n for n in range(2, _MOST + 1) if smallest_p(n) <= _LEVEL)
    level = _LEVEL / methods
    return next((n for n in able if power(gain, deviation, n, level=level) >= _POWER), None)


def _ship(leader: Group, proven: bool, compared: Sequence[Group], groups: Sequence[Group]) -> str:
    baseline = baseline_of(leader, groups)
    if not proven:
        plain = leader.baseline if baseline is None else baseline.label
        return f"Which student to ship: {plain}, since no method was shown to be better."
    own = set(leader.summary.letters)
    alike = [g.label for g in compared if g is not leader and own & set(g.summary.letters)]
    rest = f"; not told apart from it: {', '.join(alike)}" if alike else ""
    return f"Which student to ship: {leader.label}, {100 * leader.miou:.1f} mIoU{rest}."


def _sure(leader: Group, proven: bool) -> str:
    comparison = leader.comparison
    assert comparison is not None, "the leader was compared"
    interval = comparison.simultaneous
    ends = f"{points(interval.low)} to {points(interval.high)} points"
    sample = sample_of(comparison)
    if proven:
        return (
            f"How sure: its gain over {leader.baseline} is {points(interval.estimate)}, and with "
            f"{100 * interval.confidence:g} % confidence {ends} ({sample})."
        )
    return (
        f"How sure: the highest mean of the others, that of {leader.label}, differs from "
        f"{leader.baseline} by {points(interval.estimate)}, and with "
        f"{100 * interval.confidence:g} % confidence {ends} ({sample}), which "
        "contains 0."
    )


def _surer(leader: Group, proven: bool, methods: int, seconds: float | None, margin: float) -> str:
    comparison = leader.comparison
    assert comparison is not None, "the leader was compared"
    unit = unit_of(comparison)
    if unit == "searches":
        seconds = None  # the final runs do not say what a search takes
    have, deviation = len(leader.summary.sample), stdev(leader.summary.sample)
    if proven:
        more = 3 * have
        return (
            f"What would make it surer: {more} more {unit}{_hours(more, seconds)} make the "
            "interval half as wide."
        )
    gain = max(abs(comparison.difference.estimate), margin)
    needed = seeds_needed(gain, deviation, methods) if gain else None
    spread = f"differences scatter by {100 * deviation:.1f} points over {unit}"
    if needed is None:
        return f"What would make it surer: no study of a bearable size, since {spread}."
    more = max(0, needed - have)
    if not more:
        return (
            f"What would make it surer: other {unit}; a true gain of {100 * gain:.1f} points would "
            f"have been found by so many in 80 of 100 studies, since {spread}."
        )
    return (
        f"What would make it surer: {more} more {unit}{_hours(more, seconds)} find a true gain of "
        f"{100 * gain:.1f} points in 80 of 100 studies, since {spread}."
    )


def _seconds_per_seed(groups: Sequence[Group]) -> float | None:
    """Return the seconds for training all students of a seed together, None if unknown."""
    students = [group.summary for group in groups if not group.teacher]
    alone = [summary.mean_of("own_seconds") for summary in students]
    known = [seconds for seconds in alone if seconds is not None]
    if len(known) < len(students):
        return None
    shared = (
        max((summary.mean_of(key) or 0.0 for summary in students), default=0.0)
        for key in ("batch_seconds", "teacher_seconds")
    )
    return sum(known) + sum(shared)


def _hours(seeds: int, seconds: float | None) -> str:
    if seconds is None:
        return ""
    total = seeds * seconds
    return f", about {total / 3600:.1f} h," if total >= 5400 else f", about {total / 60:.0f} min,"
