"""The Ray engine: cohorts are tasks of a cluster, and the driver writes their results."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from segdistill.config import EngineConfig
from segdistill.files import inside, write_whole
from segdistill.runs.result import ENDS
from segdistill.studies.cohorts import Job
from segdistill.studies.packages import need_ray
from segdistill.studies.work import work
from segdistill.training.events import Note, Tell


def run_ray(
    jobs: Sequence[Job], root: Path, engine: EngineConfig, *, tell: Tell
) -> Iterator[tuple[Job, dict[str, str]]]:
    """Train cohorts as Ray tasks, and yield each when its results are written.

    A task trains in a folder on its own machine and returns the complete run folders; a cohort
    whose machine is lost is started again on another. Data and the teacher's weights must have
    the same paths on all machines.

    Args:
        jobs: the cohorts.
        root: folder of the study, on the driver's machine.
        engine: address of the cluster, resources of a cohort, and number of retries.
        tell: called when a cohort is done; tasks report nothing themselves.

    Returns:
        Each cohort, with the reasons, by method, for runs that were given up, such as those lost
        with their machines more often than ``retries``.

    Raises:
        ConfigError: ray is not installed.
        OSError, ConfigError, RunFolderError: see :func:`segdistill.studies.work.work`.
    """
    need_ray()
    # Ray reads this when it is imported, and then sends no usage statistics.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    ours = not ray.is_initialized()
    if ours:
        ray.init(engine.address, include_dashboard=False, log_to_driver=False)
    task = ray.remote(
        num_cpus=engine.cpus, num_gpus=engine.gpus or None, max_retries=engine.retries
    )(train_away)
    try:
        running: dict[Any, Job] = {
            task.remote(job, engine.threads, engine.retries, str(Path.cwd())): job for job in jobs
        }
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            job = running.pop(done)
            try:
                node, files, left = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                why = f"{type(error).__name__} in {1 + engine.retries} attempts"
                yield job, dict.fromkeys(job.configs, why)
                continue
            write_files(root / job.folder, files)
            tell(Note(f"{job.name}: done on node {node[:8]}"))
            yield job, left
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        if ours:
            ray.shutdown()


def train_away(
    job: Job, threads: int | None, retries: int, home: str
) -> tuple[str, dict[str, bytes], dict[str, str]]:
    """Train a cohort in a temporary folder; return the node, the files, and unfinished runs.

    Args:
        job: the cohort.
        threads: number of torch threads.
        retries: how often a failure that is no method's fault is retried.
        home: working directory of the driver, to which paths in the config are relative.
    """
    import ray

    if Path(home).is_dir():
        os.chdir(home)
    with tempfile.TemporaryDirectory() as scratch:
        left = work(job, Path(scratch), threads=threads, retries=retries)
        folder = Path(scratch) / job.folder
        files = {
            str(file.relative_to(folder)): file.read_bytes()
            for file in sorted(folder.rglob("*"))
            if file.is_file() and file.suffix != ".lock"
        }
    return ray.get_runtime_context().get_node_id(), files, left


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files below a folder; those that mark the end of a run come last."""
    for name in sorted(files, key=lambda name: Path(name).name in ENDS):
        file = inside(folder, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, files[name])
