"""TensorBoard: event files in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers import Logger, TensorBoardLogger

from segdistill.runs.layout import TENSORBOARD


def tensorboard(folder: Path, settings: Mapping[str, Any]) -> Logger:
    """Return Fabric's TensorBoard logger, which writes to the run folder."""
    logger: Logger = TensorBoardLogger(folder, name=TENSORBOARD, version="")
    return logger
