"""The plan of a study: every run that it will make, and what that is expected to cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdistill.config import StudyConfig
from segdistill.studies.cohorts import Job, job_seconds, round_jobs, seed_jobs
from segdistill.studies.search import suggest_round
from segdistill.training.measure import CohortCost


def describe(study: StudyConfig, costs: Mapping[str, CohortCost]) -> dict[str, Any]:
    """Return the plan: every cohort with its runs, their hashes where known, and its cost.

    The hash of a run whose settings depend on results is null.
    """
    entries: list[dict[str, Any]] = []
    together, apart = {"search": 0.0, "final": 0.0}, 0.0

    def add(job: Job, *, known: bool) -> None:
        nonlocal apart
        seconds = job_seconds(job, costs[job.pair])
        together[job.stage] += seconds
        apart += job_seconds(job, costs[job.pair], apart=True)
        configs = job.configs()
        learners = {
            method: {
                "folder": f"{job.folder}/{method}",
                "config_hash": config.hash() if known else None,
                "steps": config.training.steps,
            }
            for method, config in configs.items()
        }
        number = {"round" if job.stage == "search" else "seed": job.number}
        entries.append(
            {"id": job.name, "stage": job.stage, "pair": job.pair}
            | number
            | {"learners": learners, "seconds": seconds}
        )

    nothing: dict[str, dict[str, Any]] = {method: {} for method in study.methods}
    known = study.search.sampler != "tpe"
    for number in range(study.search.trials):
        for pair in study.pairs:
            params = suggest_round(study, pair, number, ()) if known else nothing
            for job in round_jobs(study, pair, number, params, costs[pair]):
                add(job, known=known)
    for seed in study.seeds:
        for pair in study.pairs:
            for job in seed_jobs(study, pair, seed, nothing, costs[pair]):
                add(job, known=not study.search.trials)
    estimate = {
        "search_seconds": together["search"],
        "final_seconds": together["final"],
        "apart_seconds": apart,
        "counts": "reading, teacher and students' steps; no scoring, no stage before training",
    }
    return {"hash": study.hash(), "jobs": entries, "estimate": estimate}


def summarize(plan: Mapping[str, Any]) -> str:
    """Return a plan in one sentence."""
    estimate, jobs = plan["estimate"], plan["jobs"]
    runs = sum(len(job["learners"]) for job in jobs)
    both = estimate["search_seconds"] + estimate["final_seconds"]
    return (
        f"plan: {runs} runs in {len(jobs)} cohorts, about {_hours(both)} of training "
        f"({_hours(estimate['search_seconds'])} of it search); one by one they would take "
        f"{_hours(estimate['apart_seconds'])}"
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.1f} min"
