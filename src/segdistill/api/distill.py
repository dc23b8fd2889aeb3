"""Distil: a student, or a cohort of students, under a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdistill.api.learners import run_learners
from segdistill.config.loading import LoadedConfig, load_config
from segdistill.errors import ConfigError
from segdistill.training.events import Tell, silent


def distill(
    source: str | Path | LoadedConfig,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    resume: bool = False,
    tell: Tell = silent,
) -> list[Path]:
    """Train a student, or a cohort of students, under a teacher.

    Args and errors as :func:`train`; also refuses a config in which nothing is distilled.
    """
    loaded = load_config(source, overrides, trust=trust)
    if not any(config.distill for config in loaded.learners.values()):
        raise ConfigError(
            f"{loaded.source}: expected at least one term under 'distill', got none; "
            "use segdistill train for a network without a teacher"
        )
    return run_learners("distill", loaded, out, resume=resume, tell=tell)
