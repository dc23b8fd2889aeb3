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
    """Train the ``student`` of a config without a teacher: a future teacher or a baseline.

    Example::

        segdistill.train("camvid/teacher", "runs/teacher", overrides=["data.root=camvid"])

    Args:
        source: config file, name of a recipe, or a loaded config. Its ``teacher`` and
            ``distill`` are ignored; learners of a cohort that are equal without them are trained
            once.
        out: run folder; by default ``runs/<recipe>-N``.
        overrides: overrides of the form ``a.b=value``.
        trust: ``import:`` and ``file:`` targets that config files may name; see
            :mod:`segdistill.trust`.
        resume: continue where an interrupted run stopped; accept a finished one.
        tell: called with every event.

    Returns:
        The run folders, one per learner.

    Raises:
        ConfigError, DataError, RunFolderError, TrainingDivergedError, ValueError: see
            :func:`segdistill.training.run.run_cohort`.
        OverwriteError: the folder contains a ``report.html`` that no report wrote.
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
