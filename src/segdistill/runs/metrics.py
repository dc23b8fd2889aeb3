"""The log of a run: lines of ``metrics.jsonl``."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from segdistill.files import inside, write_whole
from segdistill.runs.documents import append_line, read_lines, write_lines
from segdistill.runs.layout import LOGS, METRICS


@dataclass(frozen=True, kw_only=True)
class TrainLine:
    """Losses of the steps since the previous line.

    Attributes:
        step: number of steps finished.
        loss: sum of the parts without the critics' losses.
        parts: weighted loss by part, averaged over the steps.
        lr: learning rate of the step.
        images_per_second: throughput since the previous line.
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
        step: number of steps of that stage finished, counted separately from training.
        loss: loss of the last of them.
        seconds: duration of the stage so far.
    """

    kind: Literal["prepare"] = "prepare"
    step: int
    loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class EvaluationLine:
    """Scores after a step, as fractions."""

    kind: Literal["evaluation"] = "evaluation"
    step: int
    split: str
    miou: float
    pixel_accuracy: float


@dataclass(frozen=True, kw_only=True)
class CompileLine:
    """Whether a network is compiled for the steps that follow, and the measurement behind it.

    Attributes:
        step: number of steps finished before.
        network: ``teacher`` or ``student``.
        compiled: the decision.
        reason: the decision in words.
        as_it_is_seconds: duration of a step of the network that is not compiled, the objective
            and update included; None if it was not measured, as for the next.
        compiled_seconds: duration of a compiled step.
        compiling_seconds: duration of compiling.
        break_even_steps: number of steps after which compiling pays for itself, for all students
            of a cohort together; None if never.
    """

    kind: Literal["compile"] = "compile"
    step: int
    network: str
    compiled: bool
    reason: str
    as_it_is_seconds: float | None = None
    compiled_seconds: float | None = None
    compiling_seconds: float | None = None
    break_even_steps: float | None = None


Line = TrainLine | EvaluationLine | PrepareLine | CompileLine
_Line = Annotated[Line, Field(discriminator="kind")]


def append_metrics(run: Path, line: Line) -> None:
    """Append a line."""
    append_line(run / METRICS, line)


def read_metrics(run: Path) -> list[Line]:
    """Return all lines except a truncated last one.

    Raises:
        RunFolderError: a line is broken; line and key are named.
    """
    lines: list[Line] = read_lines(run / METRICS, _Line)  # type: ignore[arg-type]
    return lines


def write_metrics_table(run: Path) -> None:
    """Write all lines to ``logs/metrics.csv``: a single table even if the run was resumed."""
    lines = [line for line in read_metrics(run) if not isinstance(line, CompileLine)]
    rows = [{"step": line.step} | flat(line) for line in lines]
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    file = inside(run, LOGS) / "metrics.csv"
    file.parent.mkdir(exist_ok=True)
    write_whole(file, text.getvalue())


def flat(line: TrainLine | EvaluationLine | PrepareLine) -> dict[str, float]:
    """Return the numbers of a line by their names in tables and TensorBoard."""
    if isinstance(line, TrainLine):
        parts = {f"loss/{name}": value for name, value in line.parts.items()}
        return {"loss": line.loss, "lr": line.lr} | parts
    if isinstance(line, PrepareLine):
        return {"prepare/loss": line.loss}
    return {
        f"{line.split}/miou": line.miou,
        f"{line.split}/pixel_accuracy": line.pixel_accuracy,
    }


def keep_metrics(run: Path, step: int) -> None:
    """Remove the lines after this step, which a killed run has left.

    Lines of the stage before training are kept: it is over, or will produce the same numbers.
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


def compile_lines(lines: Sequence[Line]) -> list[CompileLine]:
    """Return the lines about compiling."""
    return [line for line in lines if isinstance(line, CompileLine)]
