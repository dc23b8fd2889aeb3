"""Trials of a study, as lines of ``trials.jsonl``."""

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
    """One choice of settings for a method, and its score.

    Attributes:
        pair: name of the pair.
        method: name of the method.
        trial: number within pair and method; trials of one number see the same batches.
        params: values by path, as overrides.
        data_seed: seed of the batches and the initial weights.
        config_hash: hash of the run's settings.
        status: whether it was trained to the end, stopped early, or failed.
        miou: mIoU on the held-out images at the last scored step; None if it failed.
        step: number of steps done.
        steps: number of steps planned.
        seconds: duration of training, as if alone.
        scores: mIoU by step at which it could have been stopped early.
        error: reason of its failure, or None.
        repeat: number of its search, from 0.
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
    """Append a line, after removing a truncated one."""
    append_line(study / TRIALS, trial)


def read_trials(study: Path) -> list[Trial]:
    """Return all trials; empty if there is no file.

    Raises:
        RunFolderError: a line is broken; line and key are named.
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
    """Return the trial of a run that has ended.

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
