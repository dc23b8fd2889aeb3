"""One cohort of a study, trained wherever it was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from segdistill.config import RunConfig
from segdistill.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    RunFolderError,
    SegdistillError,
    TrainingDivergedError,
)
from segdistill.files import inside
from segdistill.runs.result import Failure, find_end, write_failure
from segdistill.studies.cohorts import Job
from segdistill.studies.halving import falls_behind
from segdistill.training.events import Note, Tell, silent
from segdistill.training.hooks import Prune
from segdistill.training.resume import make_folder
from segdistill.training.run import run_cohort


def work(job: Job, root: Path, *, threads: int | None = None, tell: Tell = silent) -> None:
    """Train a cohort in the folder of its study; one that was interrupted goes on.

    Where something stops the whole cohort, each of its runs is tried by itself, so that one
    that fails takes no other with it. It gets a ``failed.json``, and the study goes on without.

    Args:
        job: the cohort.
        root: folder of the study.
        threads: of torch, while it is trained.
        tell: called with what happens.

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

        def prune(name: str, step: int, miou: float) -> bool:
            others = job.seen.get(name, {}).get(step)
            return others is not None and falls_behind(miou, others, job.factor)

        _train(job.configs, folder, prune, tell)


def _train(configs: Mapping[str, RunConfig], folder: Path, prune: Prune, tell: Tell) -> None:
    try:
        run_cohort(configs, folder, resume=True, tell=tell, keep_going=True, prune=prune)
    except (ConfigError, RunFolderError, DataError, CheckpointError):
        raise
    except (SegdistillError, ValueError, RuntimeError) as error:
        left = {name: config for name, config in configs.items() if not find_end(folder / name)}
        if len(left) > 1:
            tell(Note(f"{folder} failed: {error}; its {len(left)} runs are tried one by one"))
            for name, config in left.items():
                _train({name: config}, folder, prune, tell)
            return
        for name, config in left.items():
            tell(Note(f"{folder / name} failed: {error}"))
            make_folder(folder / name, config)
            step = error.step if isinstance(error, TrainingDivergedError) else None
            said = f"{type(error).__name__}: {error}"
            write_failure(folder / name, Failure(error=said, step=step, config_hash=config.hash()))


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
