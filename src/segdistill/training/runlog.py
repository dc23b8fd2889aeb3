"""What a run writes while it trains: ``metrics.jsonl``, and CSV or TensorBoard beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_fabric.loggers import CSVLogger, Logger, TensorBoardLogger

from segdistill.files import read_metrics, write_whole


class RunLog:
    """Lines of ``metrics.jsonl``, each a JSON object with ``kind`` and ``step``.

    ``{"kind": "train", "step", "loss", "parts", "lr", "images_per_second", "seconds"}`` and
    ``{"kind": "evaluation", "step", "split", "miou", "pixel_accuracy"}``.

    Args:
        folder: the run folder.
        start: steps finished before; lines of later steps, which a killed run left, go.
        loggers: Fabric loggers that get the same numbers.
    """

    def __init__(self, folder: Path, *, start: int = 0, loggers: Sequence[Logger] = ()) -> None:
        self._file = folder / "metrics.jsonl"
        self._loggers = loggers
        _keep_until(self._file, start)

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
            step: steps finished.
            parts: weighted loss by part, a mean over the steps since the last line.
            lr: learning rate of the step.
            images_per_second: since the last line.
            seconds: training time so far.
        """
        loss = sum(value for name, value in parts.items() if not name.endswith(".critic"))
        line = {
            "kind": "train",
            "step": step,
            "loss": loss,
            "parts": dict(parts),
            "lr": lr,
            "images_per_second": images_per_second,
            "seconds": seconds,
        }
        self._append(line)
        flat = {"loss": loss, "lr": lr} | {f"loss/{name}": value for name, value in parts.items()}
        for logger in self._loggers:
            logger.log_metrics(flat, step)

    def evaluation(self, step: int, split: str, *, miou: float, pixel_accuracy: float) -> None:
        """Write the scores after a step."""
        scores = {"miou": miou, "pixel_accuracy": pixel_accuracy}
        self._append({"kind": "evaluation", "step": step, "split": split, **scores})
        for logger in self._loggers:
            logger.log_metrics({f"{split}/{name}": value for name, value in scores.items()}, step)

    def close(self) -> None:
        """Flush the loggers."""
        for logger in self._loggers:
            logger.finalize("success")

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")


def build_loggers(folder: Path, *, start: int, tensorboard: bool) -> list[Logger]:
    """Return the Fabric loggers of a run: CSV always, TensorBoard where asked.

    Raises:
        ModuleNotFoundError: TensorBoard was asked for and is not installed.
    """
    loggers: list[Logger] = [CSVLogger(folder, name="logs", version=f"from-{start}")]
    if tensorboard:
        loggers.append(TensorBoardLogger(folder, name="tensorboard", version=""))
    return loggers


def _keep_until(file: Path, step: int) -> None:
    kept = [line for line in read_metrics(file.parent) if line["step"] <= step]
    if file.exists():
        write_whole(file, "".join(json.dumps(line) + "\n" for line in kept))
