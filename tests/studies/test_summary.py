"""Summaries: every number of a method once, by seed, whatever ran or failed."""

import pytest

from segdistill.runs.measured import CohortCost, LearnerCost
from segdistill.runs.result import Result
from segdistill.studies.summary import common_seeds, share, summarize


def result(miou: float, **changed: float | None) -> Result:
    return Result(
        name="a",
        method="a",
        split="val",
        miou=miou,
        pixel_accuracy=0.9,
        iou={"road": miou + 0.1, "bus": None},
        config_hash="h",
        seed=0,
        data_seed=0,
        step=10,
        steps=10,
        **changed,  # type: ignore[arg-type]
    )


def test_a_repeated_seed_counts_once_with_the_mean_of_its_runs() -> None:
    runs = {0: [result(0.4), result(0.5)], 1: [result(0.43)]}
    found = summarize({"plain": {0: [result(0.4)], 1: [result(0.4)]}, "kl": runs}, "plain")["kl"]
    assert found.scores == pytest.approx({0: 0.45, 1: 0.43})
    assert found.mean == pytest.approx(0.44)
    assert len(found.results) == 3
    assert found.differences == pytest.approx({0: 0.05, 1: 0.03})
    assert found.comparison is not None
    assert found.comparison.seeds == 2
    assert found.classes["road"].difference.estimate == pytest.approx(0.04)
    assert "bus" not in found.classes


def test_two_runs_of_one_seed_have_no_deviation() -> None:
    found = summarize({"a": {0: [result(0.4), result(0.5)]}}, None)["a"]
    assert (found.deviation, found.comparison, found.rank) == (None, None, 1.0)


def test_without_a_baseline_nothing_is_compared_and_without_runs_nothing_is_known() -> None:
    found = summarize({"a": {0: [result(0.4)]}, "b": {}}, None)
    assert found["b"].mean is None
    assert found["b"].rank is None
    assert found["a"].rank == 1.0
    assert {one.comparison for one in found.values()} == {None}


def test_a_mean_of_some_runs_is_none_of_the_method() -> None:
    runs = {0: [result(0.4, seconds=3.0)], 1: [result(0.4)]}
    found = summarize({"a": runs}, None)["a"]
    assert found.mean_of("seconds") is None
    assert found.mean_of("miou") == pytest.approx(0.4)
    assert found.best_mean is None


def test_common_seeds_are_those_of_all_that_have_any() -> None:
    assert common_seeds({"a": {2: 0.1, 0: 0.1, 1: 0.1}, "b": {1: 0.1, 2: 0.1}, "c": {}}) == [2, 1]
    assert common_seeds({"a": {}}) == []


def test_a_cohort_pays_for_what_it_shares_once_and_a_run_alone_by_itself() -> None:
    shared = {"batch_seconds": 2.0, "teacher_seconds": 5.0, "own_seconds": 10.0, "seconds": 17.0}
    alone = {"batch_seconds": 1.0, "teacher_seconds": 0.0, "own_seconds": 10.0, "seconds": 11.0}
    folder = {"a": result(0.4, **shared), "b": result(0.4, **shared), "c": result(0.4, **alone)}
    learners = {name: LearnerCost(0.5, None, None) for name in "abc"}
    found = share([folder], CohortCost(0.25, 0.125, learners, None))
    assert (found.runs, found.together, found.apart) == (3, 2 + 5 + 20 + 1 + 10, 17 + 17 + 11)
    # Ten steps of two cohorts' reading, of one teacher and of three students.
    assert found.parts == pytest.approx(10 * (0.25 * 2 + 0.125 + 3 * 0.5))
    assert share([folder]).parts is None


def test_a_run_whose_parts_are_not_known_shares_nothing() -> None:
    assert share([{"a": result(0.4, seconds=9.0)}]).runs == 0
