"""Suggestions: new ones until there are no more, and away from what is too slow."""

from dataclasses import replace

import pytest

from segdistill.runs.students import Time, Timed
from segdistill.runs.trials import Trial
from segdistill.studies.students.space import Suggestion, suggest_student

from .conftest import Make

pytest.importorskip("optuna")

FAMILY = "{{network: fcn, width: {widths}}}"
WIDTHS = f"students={{{{narrow: {FAMILY}, wide: {FAMILY}}}}}"


def timed(number: int, one: Suggestion, ms: float, *, trained: bool = True) -> Timed:
    time = Time(ms, ms - 1, ms + 1, 0.1, 0.2)
    return Timed(f"{one.family}-{number}", number, number, one.family, one.student, time, trained)


def trial(one: Timed, miou: float) -> Trial:
    return Trial("students", one.name, one.number, one.student, 0, "h", "done", miou, 4, 4, 1.0)


def test_every_student_is_suggested_once_and_then_none(tiny: Make) -> None:
    search, known = tiny(), list[Timed]()
    for number in range(6):
        one = suggest_student(search, known, {})
        assert one is not None
        assert (one.family, one.student) not in [(k.family, k.student) for k in known]
        known.append(timed(number, one, 5.0))
    assert suggest_student(search, known, {}) is None


def test_the_same_students_before_give_the_same_suggestion_and_pending_ones_another(
    tiny: Make,
) -> None:
    search = tiny()
    first = suggest_student(search, [], {})
    assert first == suggest_student(search, [], {})
    assert first is not None
    assert suggest_student(search, [], {}, [first]) != first


def test_a_student_without_a_time_is_not_suggested_again(tiny: Make) -> None:
    search = tiny("students={lraspp: {width: [8, 16]}}")
    first = suggest_student(search, [], {})
    assert first is not None
    refused = replace(timed(0, first, 1.0, trained=False), time=None, error="no")
    second = suggest_student(search, [refused], {})
    assert second is not None
    assert second.student != first.student


def test_what_breaks_the_limit_is_suggested_less_often(tiny: Make) -> None:
    widths = list(range(1, 101))
    search = tiny(WIDTHS.format(widths=widths), "latency.limit_ms=10")
    known, trials = list[Timed](), dict[str, Trial]()
    for number in range(16):
        family, slow = ("wide", True) if number % 2 else ("narrow", False)
        student = {"network": "fcn", "width": 50 + number}
        one = timed(number, Suggestion(family, student), 30.0 if slow else 5.0, trained=not slow)
        known.append(one)
        if not slow:
            trials[one.name] = trial(one, 0.3 + 0.01 * number)
    pending = list[Suggestion]()
    for _ in range(8):
        one_more = suggest_student(search, known, trials, pending)
        assert one_more is not None
        pending.append(one_more)
    assert [one.family for one in pending].count("narrow") >= 6
