"""Training one cohort of a study, on whichever machine it was sent to."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import torch

from segdistill.config import RunConfig
from segdistill.errors import TrainingDivergedError
from segdistill.files import inside, open_to_append
from segdistill.runs.result import Failure, find_end, write_failure
from segdistill.studies.cohorts import Job
from segdistill.studies.faults import Fault, judge
from segdistill.studies.halving import falls_behind
from segdistill.training.events import Note, Tell, silent
from segdistill.training.hooks import Prune
from segdistill.training.interrupts import interrupted_at_once
from segdistill.training.resume import make_folder
from segdistill.training.run import run_cohort

PAUSE_SECONDS = 1.0  # before the first retry; doubled for each further one


def work(
    job: Job, root: Path, *, threads: int | None = None, retries: int = 0, tell: Tell = silent
) -> dict[str, str]:
    """Train a cohort in the folder of its study, or continue an interrupted one.

    If an error stops the whole cohort, its runs are tried one by one, so that a failing run does
    not stop the others. Failures of a method are written to its ``failed.json``, and the study
    continues without it; see :mod:`segdistill.studies.faults`.

    Args:
        job: the cohort.
        root: folder of the study.
        threads: number of torch threads during training.
        retries: how often a failure that is no method's fault is retried.
        tell: called with every event.

    Returns:
        The reason for each method whose run was given up without a result and can be resumed.

    Raises:
        KeyboardInterrupt: interrupted; checkpoints were written.
        OSError, ConfigError, RunFolderError, DataError, CheckpointError: no method can be trained
            here; the study can be resumed after the repair.
    """
    folder = inside(root, job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for method in sorted(job.configs):  # a fixed order, so that no two cohorts deadlock
            held.enter_context(_alone(folder / f".{method}.lock"))
        held.enter_context(limit_threads(threads))
        held.enter_context(interrupted_at_once())

        def prune(name: str, step: int, miou: float) -> bool:
            others = job.seen.get(name, {}).get(step)
            return others is not None and falls_behind(miou, others, job.factor)

        return _train(job.configs, folder, prune, retries, tell)


def _train(
    configs: Mapping[str, RunConfig], folder: Path, prune: Prune, retries: int, tell: Tell
) -> dict[str, str]:
    """Train runs together, then one by one; return the reason for each unfinished run."""
    error = _attempt(configs, folder, prune, retries, tell)
    if error is None:
        return {}
    left = {name: config for name, config in configs.items() if not find_end(folder / name)}
    if len(left) > 1:
        tell(Note(f"{folder} failed: {error}; its {len(left)} runs are tried one by one"))
        alone = [_train({name: left[name]}, folder, prune, retries, tell) for name in left]
        return {name: why for reasons in alone for name, why in reasons.items()}
    reason = f"{type(error).__name__}: {error}"
    for name, config in left.items():
        if judge(error) is Fault.WORLD:
            tell(Note(f"{folder / name} is left unfinished: {reason}; --resume trains it"))
            return {name: reason}
        tell(Note(f"{folder / name} failed: {error}"))
        make_folder(folder / name, config)
        step = error.step if isinstance(error, TrainingDivergedError) else None
        write_failure(folder / name, Failure(error=reason, step=step, config_hash=config.hash()))
    return {}


def _attempt(
    configs: Mapping[str, RunConfig], folder: Path, prune: Prune, retries: int, tell: Tell
) -> Exception | None:
    """Train runs together; return the error that stopped them, or None."""
    for attempt in range(1 + retries):
        try:
            run_cohort(configs, folder, resume=True, tell=tell, keep_going=True, prune=prune)
        except Exception as error:
            fault = judge(error)
            if fault is Fault.SETUP:
                raise
            # Its frames hold memory that the next attempt needs.
            stopped = error.with_traceback(None)
            stopped.__context__ = None
        else:
            return None
        if fault is Fault.METHOD or attempt == retries:
            return stopped
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        tell(Note(f"{folder}: {stopped}; attempt {attempt + 2} of {1 + retries}"))
        time.sleep(PAUSE_SECONDS * 2**attempt)
    return stopped


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Wait until no other process, such as an orphan of a killed study, holds the lock.

    Each run has its own lock, so that other methods of the folder can be trained meanwhile.
    """
    try:
        import fcntl
    except ImportError:  # not available on this system
        yield
        return
    with open_to_append(file) as lock:
        with suppress(OSError):  # on a file system without locks, that of the study has to do
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def limit_threads(count: int | None) -> Iterator[None]:
    """Set the number of torch threads inside the block, or leave it if ``count`` is None."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
