"""What a run logs while it trains: ``metrics.jsonl``, a table, and external loggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning_fabric.loggers import Logger

from segdistill.runs.metrics import (
    CompileLine,
    EvaluationLine,
    PrepareLine,
    TrainLine,
    append_metrics,
    evaluation_lines,
    flat,
    keep_metrics,
    prepare_lines,
    read_metrics,
    write_metrics_table,
)
from segdistill.training.objective import minimised


class RunLog:
    """Losses and scores of a run, as lines of ``metrics.jsonl``.

    Args:
        folder: the run folder.
        start: steps finished before; lines of later steps, left by a killed run, are removed.
        loggers: Fabric loggers that get the same numbers.
        writes: whether this process writes; the others neither read nor write.

    Attributes:
        evaluations: mIoU by step, including those before ``start``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        start: int = 0,
        loggers: Sequence[Logger] = (),
        writes: bool = True,
    ) -> None:
        self._folder = folder
        self._loggers = loggers
        self._writes = writes
        self.evaluations: dict[int, float] = {}
        self._prepared = 0
        if not writes:
            return
        keep_metrics(folder, start)
        scored = evaluation_lines(read_metrics(folder))
        self.evaluations |= {line.step: line.miou for line in scored}
        self._prepared = max((line.step for line in prepare_lines(read_metrics(folder))), default=0)

    def prepare(self, step: int, loss: float, *, seconds: float) -> None:
        """Write a loss of the stage before training, unless a killed run has written it.

        Args:
            step: number of steps of the stage finished.
            loss: loss of the last of them.
            seconds: duration of the stage so far.
        """
        if step <= self._prepared:
            return
        self._prepared = step
        append_metrics(self._folder, PrepareLine(step=step, loss=loss, seconds=seconds))

    def train(
        self,
        step: int,
        parts: Mapping[str, float],
        *,
        lr: float,
        images_per_second: float,
        seconds: float,
    ) -> None:
        """Write the losses of a step.

        Args:
            step: number of steps finished.
            parts: weighted loss by part, averaged over the steps since the last line.
            lr: learning rate of the step.
            images_per_second: throughput since the last line.
            seconds: training time so far.
        """
        loss = minimised(parts)
        line = TrainLine(
            step=step,
            loss=loss,
            parts=dict(parts),
            lr=lr,
            images_per_second=images_per_second,
            seconds=seconds,
        )
        append_metrics(self._folder, line)
        for logger in self._loggers:
            logger.log_metrics(flat(line), step)

    def compiling(self, line: CompileLine) -> None:
        """Write whether a network is compiled."""
        append_metrics(self._folder, line)

    def evaluation(self, step: int, split: str, *, miou: float, pixel_accuracy: float) -> None:
        """Write the scores after a step, unless a killed run has written them."""
        if step in self.evaluations:
            return
        self.evaluations[step] = miou
        line = EvaluationLine(step=step, split=split, miou=miou, pixel_accuracy=pixel_accuracy)
        append_metrics(self._folder, line)
        for logger in self._loggers:
            logger.log_metrics(flat(line), step)

    def write_table(self) -> None:
        """Write ``logs/metrics.csv`` with all lines so far."""
        write_metrics_table(self._folder)

    def close(self) -> None:
        """Write the table and flush the loggers."""
        if self._writes:
            self.write_table()
        for logger in self._loggers:
            logger.finalize("success")
