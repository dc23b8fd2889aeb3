"""``replay.pt``: the step at which a run diverged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segdistill.errors import RunFolderError
from segdistill.runs.checkpoint import read_state, write_state
from segdistill.runs.documents import check_record
from segdistill.runs.layout import REPLAY


@dataclass(frozen=True)
class KeptStep:
    """A step that diverged, as tensors on the CPU and plain values.

    Attributes:
        step: number of steps finished before.
        student: the section of a config that builds the student without weights.
        batch: images, labels and valid of the global batch.
        maps: the teacher's maps of the batch, None if they were too large to keep.
        state: the learner's state by part.
    """

    step: int
    student: Mapping[str, Any]
    batch: Mapping[str, Any]
    maps: Mapping[str, Any] | None
    state: Mapping[str, Mapping[str, Any]]


def replay_file(run: Path) -> Path:
    """Return the file of a run's step."""
    return run / REPLAY


def write_step(run: Path, kept: KeptStep) -> Path:
    """Write the file as a checkpoint is written, and return it."""
    write_state(replay_file(run), asdict(kept))
    return replay_file(run)


def read_step(run: Path) -> KeptStep:
    """Read the file without executing code from it.

    Raises:
        RunFolderError: the run has no such file, or it is of a later format, or lacks a key.
        CheckpointError: it is truncated or has been changed.
    """
    file = replay_file(run)
    if not file.exists():
        raise RunFolderError(
            f"{run}: expected the folder of a run that diverged, got one without {REPLAY}"
        )
    return check_record(file, KeptStep, read_state(file, "replay file"))
