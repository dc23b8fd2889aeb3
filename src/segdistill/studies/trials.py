"""Trials: what was tried for each method, kept as lines of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from segdistill.config import load_yaml
from segdistill.files import read_json, read_metrics

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


def read_trials(file: Path) -> list[Trial]:
    """Return the trials of a file, if it is there; a last line cut short is left out."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Trial(**json.loads(line)) for line in lines if line.endswith("\n")]


def read_trial(
    folder: Path, pair: str, method: str, number: int, params: Mapping[str, Any]
) -> Trial:
    """Return what a run folder that has ended says of its trial."""
    tree = load_yaml((folder / "resolved.yaml").read_text(encoding="utf-8"))
    scored = [line for line in read_metrics(folder) if line["kind"] == "evaluation"]
    ends: tuple[tuple[Status, str], ...] = (
        ("done", "result.json"),
        ("pruned", "pruned.json"),
        ("failed", "failed.json"),
    )
    status, file = next((word, folder / name) for word, name in ends if (folder / name).exists())
    end = read_json(file)
    return Trial(
        pair=pair,
        method=method,
        trial=number,
        params=dict(params),
        data_seed=tree["data"]["seed"],
        config_hash=end["config_hash"],
        status=status,
        miou=end.get("miou"),
        step=end.get("step", 0),
        steps=tree["training"]["steps"],
        seconds=end.get("seconds", 0.0),
        scores={str(line["step"]): line["miou"] for line in scored},
        error=end.get("error"),
    )


def append_trial(file: Path, trial: Trial) -> None:
    """Add a line to a file of trials; one cut short by a kill is taken away first."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if text and not text.endswith("\n"):
        file.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(asdict(trial)) + "\n")


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial that was trained to the end with the highest score, the first of equals."""
    done = [trial for trial in trials if trial.status == "done" and trial.miou is not None]
    return max(done, key=lambda trial: (trial.miou or 0.0, -trial.trial), default=None)
