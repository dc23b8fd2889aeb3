"""Weights & Biases: a run named after the run folder."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers import Logger


class _Wandb(Logger):  # type: ignore[misc] # Fabric has no types here
    """A Weights & Biases run as a Fabric logger.

    Args:
        run: the run that ``wandb.init`` returned.
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
    """Start a Weights & Biases run, or continue the one of a killed run.

    Its files are in the run folder; where it is sent is set by WANDB_MODE and WANDB_PROJECT.

    Args:
        folder: the run folder.
        settings: the run's settings, which are stored with it.
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
