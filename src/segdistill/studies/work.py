"""One cohort of a study, trained wherever it was sent."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from segdistill.config import RunConfig
from segdistill.errors import TrainingDivergedError
from segdistill.files import inside
from segdistill.runs.result import Failure, find_end, write_failure
from segdistill.studies.cohorts import Job
from segdistill.studies.faults import Fault, judge
from segdistill.studies.halving import falls_behind
from segdistill.training.events import Note, Tell, silent
from segdistill.training.hooks import Prune
from segdistill.training.interrupts import interrupted_at_once
from segdistill.training.resume import make_folder
from segdistill.training.run import run_cohort

PAUSE_SECONDS = 1.0  # before what failed is tried again; then twice as long, and so on


def work(
    job: Job, root: Path, *, threads: int | None = None, retries: int = 0, tell: Tell = silent
) -> dict[str, str]:
    """Train a cohort in the folder of its study; one that was interrupted goes on.

    Where something stops the whole cohort, each of its runs is tried by itself, so that one
    that fails takes no other with it. What a method is to blame for is written into its
    ``failed.json``, and the study goes on without; see :mod:`segdistill.studies.faults`.

    Args:
        job: the cohort.
        root: folder of the study.
        threads: of torch, while it is trained.
        retries: how often what no method is to blame for is tried again.
        tell: called with what happens.

    Returns:
        Why, for each method whose run was given up without a result; it can be resumed.

    Raises:
        KeyboardInterrupt: interrupted; checkpoints were written.
        OSError, ConfigError, RunFolderError, DataError, CheckpointError: nothing can be trained
            here, whatever the method; the study can be resumed when that is repaired.
    """
    folder = inside(root, job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for method in sorted(job.configs):  # in one order, so that no two wait for each other
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
    """Train runs together, then one by one; return why, for each that was left open."""
    error = _attempt(configs, folder, prune, retries, tell)
    if error is None:
        return {}
    left = {name: config for name, config in configs.items() if not find_end(folder / name)}
    if len(left) > 1:
        tell(Note(f"{folder} failed: {error}; its {len(left)} runs are tried one by one"))
        alone = [_train({name: left[name]}, folder, prune, retries, tell) for name in left]
        return {name: why for one in alone for name, why in one.items()}
    said = f"{type(error).__name__}: {error}"
    for name, config in left.items():
        if judge(error) is Fault.WORLD:
            tell(Note(f"{folder / name} is left open: {said}; --resume trains it"))
            return {name: said}
        tell(Note(f"{folder / name} failed: {error}"))
        make_folder(folder / name, config)
        step = error.step if isinstance(error, TrainingDivergedError) else None
        write_failure(folder / name, Failure(error=said, step=step, config_hash=config.hash()))
    return {}


def _attempt(
    configs: Mapping[str, RunConfig], folder: Path, prune: Prune, retries: int, tell: Tell
) -> Exception | None:
    """Train runs together; return what stopped them, None where nothing did."""
    for attempt in range(1 + retries):
        try:
            run_cohort(configs, folder, resume=True, tell=tell, keep_going=True, prune=prune)
        except Exception as error:
            fault = judge(error)
            if fault is Fault.SETUP:
                raise
            # Without its frames, which hold the memory that the next attempt needs.
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
    """Wait until no other process, such as an orphan of a killed study, has locked the file.

    Each run has its own: another cohort of the folder, with other methods, may be trained.
    """
    try:
        import fcntl
    except ImportError:  # not on this system
        yield
        return
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def limit_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads in the block, as many as before where there is no number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
