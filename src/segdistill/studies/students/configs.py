"""The configs of the trials and final runs of a search of students."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdistill.config import RunConfig, StudentSearchConfig, Tree
from segdistill.config.loading import check_tree
from segdistill.errors import ConfigError
from segdistill.seeding import derive
from segdistill.studies.halving import rungs
from segdistill.studies.packages import need_optuna, need_ray
from segdistill.studies.runs import held_out, with_values

PAIR = "students"
"""The name under which a search keeps its runs, where a study has the name of a pair."""


def check_students(search: StudentSearchConfig) -> None:
    """Check everything in a search file that can be checked before anything is built.

    Raises:
        ConfigError: a package is missing, or a trial is not possible as configured.
    """
    need_optuna()
    if search.engine.name == "ray":
        need_ray()
    for family in search.families.values():
        config = trial_config(search, {key: values[0] for key, values in family.items()})
        if config.training.devices != 1:
            raise ConfigError(
                f"training.devices: expected 1, got {config.training.devices}; a search gives each "
                "cohort one device, and engine sets how many run at once"
            )


def trial_config(search: StudentSearchConfig, student: Tree) -> RunConfig:
    """Return the config of a trial, which is scored on held-out training images.

    All trials see the same batches, so that students differ by what they are.
    """
    settings = search.search
    seed = derive(settings.seed, "students") % 2**31
    while seed in search.seeds:  # the final runs must not use what the choice was made with
        seed = (seed + 1) % 2**31
    steps = settings.steps or _config(search, student, {}).training.steps
    values = held_out(seed, settings.holdout, steps)
    if settings.pruning is not None:
        values["training.evaluate_every"] = rungs(steps, settings.pruning)[0]
    return _config(search, student, values)


def final_config(search: StudentSearchConfig, student: Tree, seed: int) -> RunConfig:
    """Return the config of a final run: all training images, scored on the reported split."""
    return _config(search, student, {"data.seed": seed, "training.seed": seed})


def _config(search: StudentSearchConfig, student: Tree, values: Mapping[str, Any]) -> RunConfig:
    tree: Tree = {
        "data": search.data,
        "teacher": search.teacher,
        "student": student,
        "distill": list(search.distill),
        "training": search.training,
        "evaluation": search.evaluation,
        "trust": list(search.trust),
    }
    return check_tree(with_values(tree, values))
