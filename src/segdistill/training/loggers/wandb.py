"""Weights & Biases: a run with the name of the run folder."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers import Logger


class _Wandb(Logger):  # type: ignore[misc] # Fabric has no types here
    """A run of Weights & Biases as a logger of Fabric's.

    Args:
        run: what ``wandb.init`` returned.
    """

    def __init__(self, run: Any) -> None:
        self._run = run

    @property
    def name(self) -> str:
        return str(self._run.name)

    @property
    def version(self) -> str:
        return str(self._run.id)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._run.log(dict(metrics), step=step)

    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        self._run.config.update(params, allow_val_change=True)

    def finalize(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == "success" else 1)


def wandb(folder: Path, settings: Mapping[str, Any]) -> Logger:
    """Begin a run of Weights & Biases, or go on with the one that a killed run left.

    Its files lie in the run folder; where it is sent is the library's own setting (WANDB_MODE,
    WANDB_PROJECT).

    Args:
        folder: of the run.
        settings: of the run, which it keeps.
    """
    import wandb as library

    # A cohort has several runs in one process.
    run = library.init(
        dir=str(folder),
        name=folder.name,
        config=dict(settings),
        resume="auto",
        reinit="create_new",
    )
    return _Wandb(run)
