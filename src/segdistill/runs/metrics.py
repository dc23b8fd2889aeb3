"""What a run measured on its way: lines of ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from segdistill.runs.documents import append_line, read_lines, write_lines
from segdistill.runs.layout import METRICS


@dataclass(frozen=True, kw_only=True)
class TrainLine:
    """Losses of the steps since the line before.

    Attributes:
        step: steps finished.
        loss: sum of the parts, but for the critics' own losses.
        parts: weighted loss by part, a mean over the steps.
        lr: learning rate of the step.
        images_per_second: since the line before.
        seconds: training time so far.
    """

    kind: Literal["train"] = "train"
    step: int
    loss: float
    parts: Mapping[str, float] = field(default_factory=dict)
    lr: float
    images_per_second: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PrepareLine:
    """Loss of the stage before training that some losses have.

    Attributes:
        step: steps of that stage finished; the training's own are counted apart.
        loss: of the last of them.
        seconds: that the stage took so far.
    """

    kind: Literal["prepare"] = "prepare"
    step: int
    loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class EvaluationLine:
    """Scores after a step, fractions."""

    kind: Literal["evaluation"] = "evaluation"
    step: int
    split: str
    miou: float
    pixel_accuracy: float


Line = TrainLine | EvaluationLine | PrepareLine
_Line = Annotated[Line, Field(discriminator="kind")]


def append_metrics(run: Path, line: Line) -> None:
    """Add a line."""
    append_line(run / METRICS, line)


def read_metrics(run: Path) -> list[Line]:
    """Return all lines; a last one cut short by a kill is left out.

    Raises:
        RunFolderError: a line is broken; names the line and the key.
    """
    lines: list[Line] = read_lines(run / METRICS, _Line)  # type: ignore[arg-type]
    return lines


def keep_metrics(run: Path, step: int) -> None:
    """Take away the lines of steps after this one, which a killed run left.

    Those of the stage before training stay: it is over, or goes on to the same numbers.
    """
    if (run / METRICS).exists():
        lines = read_metrics(run)
        kept = [line for line in lines if isinstance(line, PrepareLine) or line.step <= step]
        write_lines(run / METRICS, kept)


def train_lines(lines: Sequence[Line]) -> list[TrainLine]:
    """Return the lines with losses."""
    return [line for line in lines if isinstance(line, TrainLine)]


def evaluation_lines(lines: Sequence[Line]) -> list[EvaluationLine]:
    """Return the lines with scores."""
    return [line for line in lines if isinstance(line, EvaluationLine)]


def prepare_lines(lines: Sequence[Line]) -> list[PrepareLine]:
    """Return the lines of the stage before training."""
    return [line for line in lines if isinstance(line, PrepareLine)]
