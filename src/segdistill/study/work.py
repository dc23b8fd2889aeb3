"""One cohort of a study, trained wherever it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from segdistill.errors import ConfigError, RunFolderError, SegdistillError
from segdistill.files import write_json
from segdistill.study.cohorts import Job
from segdistill.study.halving import falls_behind
from segdistill.training.events import Note, Tell, silent
from segdistill.training.folder import ended, prepare_folder
from segdistill.training.run import run_cohort


def work(job: Job, root: Path, *, threads: int | None = None, tell: Tell = silent) -> None:
    """Train a cohort in the folder of its study; one that was interrupted goes on.

    What fails is written into ``failed.json`` of each run that it stopped, and the study goes
    on without it.

    Args:
        job: the cohort.
        root: folder of the study.
        threads: of torch, while it is trained.
        tell: called with what happens.

    Raises:
        KeyboardInterrupt: interrupted; checkpoints were written.
        OSError, ConfigError, RunFolderError: nothing can be trained here.
    """
    folder = root / job.folder
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder), _threads(threads):
        configs = job.configs()

        def prune(name: str, step: int, miou: float) -> bool:
            others = job.seen.get(name, {}).get(step)
            return others is not None and falls_behind(miou, others, job.factor)

        try:
            run_cohort(configs, folder, resume=True, tell=tell, keep_going=True, prune=prune)
        except (ConfigError, RunFolderError):
            raise
        except (SegdistillError, ValueError, RuntimeError) as error:
            tell(Note(f"{job.name} failed: {error}"))
            for name, config in configs.items():
                if not ended(folder / name):
                    prepare_folder(folder / name, config)
                    found = {"error": f"{type(error).__name__}: {error}"}
                    found["config_hash"] = config.hash()
                    write_json(folder / name / "failed.json", found)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process, such as an orphan of a killed study, works in the folder."""
    try:
        import fcntl
    except ImportError:  # not on this system
        yield
        return
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
