"""The configs of a study's final runs and trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from segdistill.catalogue.controls import CONTROLS
from segdistill.config import AGAIN, PLAIN, RunConfig, StudyConfig, Tree, put
from segdistill.config.loading import check_tree, with_saved_teacher
from segdistill.errors import ConfigError
from segdistill.json_text import load_json
from segdistill.seeding import derive
from segdistill.studies.halving import rungs


def base_tree(study: StudyConfig, pair: str, method: str) -> Tree:
    """Return the tree of a final run with seed 0 and untuned settings."""
    networks, own = study.pairs[pair], study.methods[method]
    tree: Tree = {
        "data": study.data,
        "teacher": networks.teacher,
        "student": networks.student,
        "distill": list(own.distill),
        "training": study.training,
        "evaluation": study.evaluation,
        "trust": list(study.trust),
    }
    if own.control is None:
        return tree
    control = CONTROLS[own.control]
    if control.teacher == "random":
        tree["teacher"] = _untrained(with_saved_teacher(tree)["teacher"])
    elif control.teacher == "own":
        weights = networks.self_weights
        known = {"untrained": True} if weights is None else {"weights": weights}
        tree["teacher"] = _unread(networks.student) | known
    return with_values(tree, control.settings)


def _untrained(teacher: Tree) -> Tree:
    if "members" in teacher:
        return {**teacher, "members": [_untrained(member) for member in teacher["members"]]}
    return _unread(teacher) | {"untrained": True}


def _unread(network: Tree) -> Tree:
    """Return a network's section without any weights from files or a hub."""
    section = {k: v for k, v in network.items() if k not in ("weights", "backbone_weights")}
    return section | ({"pretrained": False} if "pretrained" in section else {})


def own_teacher_config(study: StudyConfig, pair: str) -> RunConfig:
    """Return the config of the plain student from which control ``self_distillation`` learns.

    It has the settings of the study file and a seed that neither search nor comparison uses.
    """
    seed = derive(study.search.seed, "own teacher") % 2**31
    while seed in study.seeds:
        seed = (seed + 1) % 2**31
    tree = with_values(
        base_tree(study, pair, PLAIN),
        {"data.seed": seed, "training.seed": seed, "training.evaluate_every": None},
    )
    tree = with_values(tree, {"evaluation.pictures": 0, "evaluation.shifts": {}})
    return check_run(tree, pair, PLAIN)


def base_config(study: StudyConfig, pair: str, method: str) -> RunConfig:
    """Return the config of :func:`base_tree`.

    Raises:
        ConfigError: it cannot be run.
    """
    return check_run(base_tree(study, pair, method), pair, method)


def final_config(
    study: StudyConfig,
    pair: str,
    method: str,
    params: Mapping[str, Any],
    seed: int,
    *,
    steps: int | None = None,
) -> RunConfig:
    """Return the config of a final run: all training images, scored on the reported split."""
    tree = with_values(base_tree(study, pair, method), params)
    tree = with_values(tree, {"data.seed": seed, "training.seed": own_seed(method, seed)})
    return check_run(tree if steps is None else put(tree, "training.steps", steps), pair, method)


def own_seed(method: str, seed: int) -> int:
    """Return the seed of a final run's initial weights: its data's, but of ``plain_again``."""
    return derive(seed, AGAIN) % 2**31 if method == AGAIN else seed


def trial_config(
    study: StudyConfig,
    pair: str,
    method: str,
    params: Mapping[str, Any],
    number: int,
    *,
    repeat: int = 0,
    steps: int | None = None,
) -> RunConfig:
    """Return the config of a trial, which is scored on held-out training images."""
    search = study.search
    seed = derive(search_seed(study, repeat), "trial", number) % 2**31
    while seed in study.seeds:  # the seeds of the comparison must not be used by the search
        seed = (seed + 1) % 2**31
    base = base_config(study, pair, method)
    steps = steps or search.steps or base.training.steps
    fixed = held_out(seed, search.holdout, steps)
    if search.pruning is not None:
        measured = study.match == "seconds" or study.methods[method].control == "longer"
        if measured:  # rounded down to a number that the rungs divide
            steps -= steps % search.pruning.factor**search.pruning.rungs
            fixed["training.steps"] = steps
        fixed["training.evaluate_every"] = rungs(steps, search.pruning)[0]
    tree = with_values(base_tree(study, pair, method), {**params, **fixed})
    return check_run(tree, pair, method)


def held_out(seed: int, share: float, steps: int) -> dict[str, Any]:
    """Return the settings of a trial that is scored on held-out training images.

    Args:
        seed: seed of its data and initial weights.
        share: share of the training images that are held out.
        steps: its optimiser steps.
    """
    return {
        "data.seed": seed,
        "data.holdout": share,
        "training.seed": seed,
        "training.steps": steps,
        "training.evaluate_every": None,
        "evaluation.split": "holdout",
        "evaluation.pictures": 0,
        "evaluation.shifts": {},
    }


def search_seed(study: StudyConfig, repeat: int) -> int:
    """Return the seed of one of the searches, which are counted from 0."""
    return derive(study.search.seed, "repeat", repeat) if repeat else study.search.seed


def with_values(tree: Tree, values: Mapping[str, Any]) -> Tree:
    """Return a tree with other values at some paths."""
    for path, value in values.items():
        tree = put(tree, path, value)
    return tree


def check_run(tree: Tree, pair: str, method: str) -> RunConfig:
    """Check the tree of a run of a study.

    Raises:
        ConfigError: it cannot be run; pair and method are named.
    """
    try:
        return _check(json.dumps(tree, default=str))
    except ConfigError as error:
        raise ConfigError(f"pair {pair}, method {method}: {error}") from None


@lru_cache(maxsize=1024)
def _check(tree: str) -> RunConfig:
    """Check a tree; cached, because planning asks for the same runs again and again."""
    return check_tree(load_json(tree))
