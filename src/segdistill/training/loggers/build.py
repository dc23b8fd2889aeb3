"""The loggers of a run, from its config."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lightning_fabric.loggers import Logger

from segdistill.catalogue import tables
from segdistill.catalogue.loggers import LOGGERS
from segdistill.config import RunConfig, TrainingConfig
from segdistill.errors import ConfigError


def check_loggers(training: TrainingConfig) -> None:
    """Refuse a logger whose package is not installed, before a folder is made.

    Raises:
        ConfigError: a package is missing; the message says what to install.
    """
    for name in _asked(training):
        package = LOGGERS[name].package
        if find_spec(package) is None:
            raise ConfigError(
                f"training.{name}: expected the package {package}, got none; "
                f"pip install 'segdistill[{package}]', or set training.{name}=false"
            )


def build_loggers(folder: Path, config: RunConfig) -> list[Logger]:
    """Return the loggers that a run asks for, in the order of the table.

    Args:
        folder: the run folder.
        config: the run's config, which they store as well.
    """
    rows = [LOGGERS[name] for name in _asked(config.training)]
    return [
        tables.load("segdistill.training.loggers", row.target)(folder, config.tree())
        for row in rows
    ]


def _asked(training: TrainingConfig) -> list[str]:
    return [name for name in LOGGERS if getattr(training, name)]
