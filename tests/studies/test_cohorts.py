"""Cohorts: what may share a teacher's forward does, as far as memory allows."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from segdistill.config import StudyConfig
from segdistill.runs.measured import CohortCost, LearnerCost
from segdistill.studies.cohorts import job_seconds, matched_steps, round_jobs, seed_jobs

Make = Callable[..., StudyConfig]
NOTHING: dict[str, dict[str, object]] = {"plain": {}, "kl": {}, "lad": {}}


def cost(free_mib: float | None = 10_000.0) -> CohortCost:
    learners = {
        "plain": LearnerCost(0.01, 100.0, 150.0),
        "kl": LearnerCost(0.02, 100.0, 400.0),
        "lad": LearnerCost(0.03, 100.0, 200.0),
    }
    return CohortCost(0.001, 0.04, learners, free_mib)


def test_all_methods_of_a_seed_share_one_teacher_and_one_stream(small: Make) -> None:
    (job,) = seed_jobs(small(), "student", 3, NOTHING, cost())
    assert list(job.configs) == ["plain", "kl", "lad"]
    assert job.folder == "final/student/seed-3"
    assert {config.data.seed for config in job.configs.values()} == {3}


@pytest.mark.parametrize(
    ("limit", "cohorts"),
    [
        # 300 kept in all, and 300 more while kl takes its step.
        (600.0, [["plain", "kl", "lad"]]),
        (599.0, [["plain", "kl"], ["lad"]]),
        (400.0, [["plain", "lad"], ["kl"]]),
        (1.0, [["plain"], ["kl"], ["lad"]]),
    ],
)
def test_a_cohort_is_as_large_as_memory_allows(
    small: Make, limit: float, cohorts: list[list[str]]
) -> None:
    study = small(f"engine.memory_mib={limit}")
    assert [[*job.configs] for job in seed_jobs(study, "student", 0, NOTHING, cost())] == cohorts


def test_four_fifths_of_free_memory_is_the_limit_by_default(small: Make) -> None:
    assert len(seed_jobs(small(), "student", 0, NOTHING, cost(750.0))) == 1
    assert len(seed_jobs(small(), "student", 0, NOTHING, cost(740.0))) == 2
    assert len(seed_jobs(small(), "student", 0, NOTHING, cost(None))) == 1


def test_seconds_buy_fewer_steps_of_a_dearer_method(small: Make) -> None:
    study = small("match=seconds")
    # Alone, plain takes 0.011 s a step, kl 0.061 and lad 0.071.
    steps = {m: matched_steps(study, cost(), m, 4000) for m in NOTHING}
    assert steps == {"plain": 4000, "kl": round(4000 * 11 / 61), "lad": round(4000 * 11 / 71)}
    jobs = seed_jobs(small("match=seconds", "training.steps=4000"), "student", 0, NOTHING, cost())
    assert [[*job.configs] for job in jobs] == [["plain"], ["kl"], ["lad"]]


def test_a_cohort_costs_one_teacher_and_separate_runs_one_each(small: Make) -> None:
    (job,) = seed_jobs(small("training.steps=100"), "student", 0, NOTHING, cost())
    assert job_seconds(job, cost()) == pytest.approx(100 * (0.001 + 0.04 + 0.01 + 0.02 + 0.03))
    assert job_seconds(job, cost(), apart=True) == pytest.approx(100 * (0.011 + 0.061 + 0.071))


def test_trials_know_how_earlier_ones_stood_at_each_rung(small: Make) -> None:
    from segdistill.runs.trials import Trial

    study = small("search.pruning={rungs: 2}")
    earlier = [
        Trial("student", "kl", 0, {}, 0, "h", "done", 0.3, 4, 4, 1.0, {"1": 0.1, "2": 0.2, "3": 0}),
        Trial("student", "kl", 1, {}, 0, "h", "pruned", 0.1, 1, 4, 1.0, {"1": 0.05}),
        Trial("other", "kl", 1, {}, 0, "h", "pruned", 0.9, 1, 4, 1.0, {"1": 0.9}),
    ]
    (job,) = round_jobs(study, "student", 2, NOTHING, cost(), earlier)
    assert job.seen["kl"] == {1: [0.1, 0.05], 2: [0.2]}
    assert job.seen["plain"] == {1: [], 2: []}
    assert job.factor == 2


def test_processes_share_what_is_free_and_gpus_are_not_shared(small: Make) -> None:
    study = small("engine.processes=2")
    assert len(seed_jobs(study, "student", 0, NOTHING, cost(1500.0))) == 1
    assert len(seed_jobs(study, "student", 0, NOTHING, cost(1490.0))) == 2
    two = replace(cost(750.0), devices=2)
    assert len(seed_jobs(study, "student", 0, NOTHING, two)) == 1
