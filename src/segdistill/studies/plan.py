"""The plan of a study: all its runs and their expected cost."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from segdistill.config import StudyConfig
from segdistill.runs.measured import CohortCost
from segdistill.runs.plan import Estimate, Plan, PlannedCohort, PlannedRun
from segdistill.studies.cohorts import Job, job_seconds, round_jobs, seed_jobs
from segdistill.studies.search import suggest_round


def describe(study: StudyConfig, costs: Mapping[str, CohortCost]) -> Plan:
    """Return the plan: every cohort with its runs, their hashes if known, and its cost.

    The hash of a run is null if its settings depend on results.
    """
    cohorts: list[PlannedCohort] = []
    together, apart = {"search": 0.0, "final": 0.0}, 0.0

    def add(job: Job, *, known: bool) -> None:
        nonlocal apart
        seconds = job_seconds(job, costs[job.pair])
        together[job.stage] += seconds
        apart += job_seconds(job, costs[job.pair], apart=True)
        learners = {
            method: PlannedRun(
                f"{job.folder}/{method}",
                config.hash() if known else None,
                config.training.steps,
            )
            for method, config in job.configs.items()
        }
        search = job.stage == "search"
        cohorts.append(
            PlannedCohort(
                id=job.name,
                stage=job.stage,
                pair=job.pair,
                round=job.number if search else None,
                repeat=job.repeat,
                seed=None if search else job.number,
                learners=learners,
                seconds=seconds,
            )
        )

    nothing: dict[str, dict[str, Any]] = {method: {} for method in study.methods}
    known = study.search.sampler != "tpe"
    for repeat, number in product(range(study.search.repeats), range(study.search.trials)):
        for pair in study.pairs:
            params = suggest_round(study, pair, number, (), repeat=repeat) if known else nothing
            for job in round_jobs(study, pair, number, params, costs[pair], repeat=repeat):
                add(job, known=known)
    for seed in study.seeds:
        for pair in study.pairs:
            for job in seed_jobs(study, pair, seed, nothing, costs[pair]):
                add(job, known=not study.search.trials)
    estimate = Estimate(
        search_seconds=together["search"],
        final_seconds=together["final"],
        apart_seconds=apart,
        counts="reading, teacher and students' steps, without scoring and stages before training",
    )
    return Plan(hash=study.hash(), jobs=tuple(cohorts), estimate=estimate)


def summarize(plan: Plan) -> str:
    """Summarise a plan in one sentence."""
    runs = sum(len(job.learners) for job in plan.jobs)
    text = f"plan: {runs} runs in {len(plan.jobs)} cohorts"
    if plan.estimate is None:
        return text
    search, final = plan.estimate.search_seconds, plan.estimate.final_seconds
    return (
        f"{text}, about {_hours(search + final)} of training ({_hours(search)} of it search); "
        f"separately they would take {_hours(plan.estimate.apart_seconds)}"
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.1f} min"
