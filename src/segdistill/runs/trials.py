"""Trials of a study: what was tried for each method, as lines of ``trials.jsonl``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segdistill.errors import RunFolderError
from segdistill.runs.documents import append_line, read_lines
from segdistill.runs.layout import TRIALS
from segdistill.runs.metrics import evaluation_lines, read_metrics
from segdistill.runs.result import (
    Failure,
    Pruned,
    Result,
    find_end,
    read_failure,
    read_pruned,
    read_result,
)
from segdistill.runs.settings import read_settings

Status = Literal["done", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One setting of a method, and what it scored.

    Attributes:
        pair: of teacher and student.
        method: whose space it is of.
        trial: number within pair and method; trials of one number see the same batches.
        params: values by path, as overrides.
        data_seed: of the batches and the initial weights.
        config_hash: of the run.
        status: trained to the end, ended early as worse than its like, or failed.
        miou: on the held-out images, after the last step that was scored; None if it failed.
        step: steps taken.
        steps: that it was to take.
        seconds: of training, as if alone.
        scores: mIoU by step at which it could have been ended early.
        error: why it failed, or None.
        repeat: which search it is of, 0 where there is one.
    """

    pair: str
    method: str
    trial: int
    params: Mapping[str, Any]
    data_seed: int
    config_hash: str
    status: Status
    miou: float | None
    step: int
    steps: int
    seconds: float
    scores: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    repeat: int = 0


def append_trial(study: Path, trial: Trial) -> None:
    """Add a line; one cut short by a kill is taken away first."""
    append_line(study / TRIALS, trial)


def read_trials(study: Path) -> list[Trial]:
    """Return all trials, none where there is no file.

    Raises:
        RunFolderError: a line is broken; names the line and the key.
    """
    return read_lines(study / TRIALS, Trial)


def read_trial(
    run: Path,
    pair: str,
    method: str,
    number: int,
    params: Mapping[str, Any],
    *,
    repeat: int = 0,
) -> Trial:
    """Return what a run folder that has ended says of its trial.

    Raises:
        RunFolderError: it has not ended, or a file is broken.
    """
    settings = read_settings(run)
    status = find_end(run)
    if status is None:
        raise RunFolderError(
            f"{run}: expected a run that has ended, got one that has not; continue with --resume"
        )
    readers: dict[Status, Callable[[Path], Result | Pruned | Failure]] = {
        "done": read_result,
        "pruned": read_pruned,
        "failed": read_failure,
    }
    end = readers[status](run)
    return Trial(
        pair=pair,
        method=method,
        trial=number,
        params=dict(params),
        data_seed=settings["data"]["seed"],
        config_hash=end.config_hash or "",
        status=status,
        miou=None if isinstance(end, Failure) else end.miou,
        step=end.step or 0,
        steps=settings["training"]["steps"],
        seconds=end.seconds or 0.0,
        scores={str(line.step): line.miou for line in evaluation_lines(read_metrics(run))},
        error=end.error if isinstance(end, Failure) else None,
        repeat=repeat,
    )
