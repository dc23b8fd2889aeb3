"""Training the cohorts of a study on its engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from segdistill.catalogue import tables
from segdistill.config import EngineConfig
from segdistill.errors import SegdistillError
from segdistill.runs.checkpoint import keep_checkpoints
from segdistill.runs.result import find_end
from segdistill.studies.cohorts import Job
from segdistill.training.events import Progress, Tell

ENGINES = {"local": "local:run_local", "ray": "cluster:run_ray"}
"""The functions that run cohorts, by the name of the engine."""

_KEPT = {"search": 0, "final": 1}  # final runs keep their last one, which alone holds the critic


def execute(
    jobs: Sequence[Job],
    engine: EngineConfig,
    out: Path,
    stage: str,
    tell: Tell,
    *,
    counted: tuple[int, int] | None = None,
) -> Iterator[Job]:
    """Train the runs that have not ended on an engine, and yield each cohort when done.

    Args:
        jobs: the cohorts.
        engine: where they run.
        out: folder of the study.
        stage: their name in progress messages, such as ``"study, trials"``.
        tell: called with every event.
        counted: number of cohorts before these and in total; by default only these count.

    Raises:
        SegdistillError: some runs were given up for reasons that lie with no method; all others
            have ended.
    """
    open_jobs = []
    for job in jobs:
        left = {m: c for m, c in job.configs.items() if not find_end(out / job.folder / m)}
        if left:
            open_jobs.append(replace(job, configs=left))
    run = tables.load("segdistill.studies", ENGINES[engine.name])
    before, total = counted or (0, len(jobs))
    done = before + len(jobs) - len(open_jobs)
    given_up: dict[Path, str] = {}
    for job, left in run(open_jobs, out, engine, tell=tell):
        done += 1
        given_up |= {out / job.folder / method: why for method, why in left.items()}
        # Two checkpoints per run would fill a disk, and a run that has ended needs none to resume.
        for method in job.configs.keys() - left.keys():
            keep_checkpoints(out / job.folder / method, _KEPT[job.stage])
        tell(Progress(stage, done, total, {}))
        yield job
    if given_up:
        listed = "".join(f"\n  {run_folder}: {why}" for run_folder, why in given_up.items())
        who, _, runs = stage.partition(", ")
        raise SegdistillError(
            f"{who}: expected every run to end, got {len(given_up)} of the {runs} given up "
            "for reasons that lie with no method; check the machine, then continue with "
            f"--resume:{listed}"
        )
