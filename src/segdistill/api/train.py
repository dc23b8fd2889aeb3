"""Train: a config's student without a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segdistill.api.learners import run_learners
from segdistill.config import RunConfig
from segdistill.config.loading import LoadedConfig, load_config
from segdistill.training.events import Tell, silent


def train(
    source: str | Path | LoadedConfig,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    resume: bool = False,
    tell: Tell = silent,
) -> list[Path]:
    """Train the ``student`` of a config without a teacher: a teacher-to-be, or a baseline.

    Args:
        source: config file, name of a recipe, or a loaded config; its ``teacher`` and
            ``distill`` are left out, and learners of a cohort that are the same without them
            are trained once.
        out: run folder; ``runs/<recipe>-N`` by default.
        overrides: ``a.b=value`` words.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        resume: go on where an interrupted run stopped; take a finished one as it is.
        tell: called with what happens.

    Returns:
        The run folders, one a learner.

    Raises:
        ConfigError, DataError, RunFolderError, TrainingDivergedError, ValueError: see
            :func:`segdistill.training.run.run_cohort`.
        OverwriteError: the folder holds a ``report.html`` that no report wrote.
    """
    loaded = load_config(source, overrides, trust=trust)
    plain: dict[str, RunConfig] = {}
    for name, config in loaded.learners.items():
        alone = config.model_copy(update={"teacher": None, "distill": ()})
        if alone not in plain.values():
            plain[name] = alone
    if len(plain) == 1:
        plain = {"": next(iter(plain.values()))}
    return run_learners("train", replace(loaded, learners=plain), out, resume=resume, tell=tell)
