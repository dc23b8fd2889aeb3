"""Distill: a student, or a cohort of students, with a teacher."""

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
    """Train a student, or a cohort of students, with a teacher.

    Example::

        words = ["data.root=camvid", "teacher.weights=runs/teacher/model.safetensors"]
        segdistill.distill("camvid/students", "runs/students", overrides=words, tell=print)

    Args:
        source: config file, name of a recipe, or a loaded config.
        out: folder of the run or the cohort; by default ``runs/<recipe>-N``.
        overrides: overrides of the form ``a.b=value``.
        trust: ``import:`` and ``file:`` targets that config files may name; see
            :mod:`segdistill.trust`.
        resume: continue where an interrupted run stopped; accept a finished one.
        tell: called with every event.

    Returns:
        The run folders, one per learner.

    Raises:
        ConfigError: the config has no distillation term, or cannot be run.
        DataError, RunFolderError, TrainingDivergedError, ValueError: see
            :func:`segdistill.training.run.run_cohort`.
        OverwriteError: the folder contains a ``report.html`` that no report wrote.
    """
    loaded = load_config(source, overrides, trust=trust)
    if not any(config.distill for config in loaded.learners.values()):
        raise ConfigError(
            f"{loaded.source}: expected at least one term under 'distill', got none; "
            "use segdistill train for a network without a teacher"
        )
    return run_learners("distill", loaded, out, resume=resume, tell=tell)
