"""Packages that only some studies need, checked before anything is run."""

from __future__ import annotations

from importlib.util import find_spec

from segdistill.config import StudyConfig
from segdistill.errors import ConfigError


def check_packages(study: StudyConfig) -> None:
    """Refuse a study that needs a package which is not installed.

    Raises:
        ConfigError: a package is missing that would stop the study later.
    """
    if study.search.trials and study.search.sampler != "grid":
        need_optuna(", or search.sampler=grid")
    if study.engine.name == "ray":
        need_ray()


def need_optuna(instead: str = "") -> None:
    """Check that optuna is installed; raises like :func:`check_packages`.

    Args:
        instead: what else the message offers.
    """
    if find_spec("optuna") is None:
        raise ConfigError(
            "search: expected the package optuna, got none; pip install 'segdistill[study]'"
            f"{instead}"
        )


def need_ray() -> None:
    """Check that ray is installed; raises like :func:`check_packages`."""
    if find_spec("ray") is None:
        raise ConfigError(
            "engine: expected the package ray, got none; pip install 'segdistill[ray]', or choose "
            "--engine local"
        )
