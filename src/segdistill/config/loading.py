"""From a YAML file, recipe or study to checked configs; free of torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from segdistill import config
from segdistill.catalogue.losses import LOSSES
from segdistill.catalogue.recipes import recipe_files
from segdistill.checks import nearest
from segdistill.config import RunConfig, StudyConfig
from segdistill.errors import ConfigError


def load_configs(source: str | Path, overrides: Sequence[str] = ()) -> dict[str, RunConfig]:
    """Read a config file or packaged recipe into checked configs, one a learner.

    Args:
        source: path of a YAML file, or the name of a recipe.
        overrides: ``a.b=value`` words; those that start with ``cohort.`` change one learner.

    Returns:
        Configs by learner; a file without a ``cohort`` section has one, named ``""``.

    Raises:
        ConfigError: see :func:`segdistill.config.check`.
    """
    tree = read(source)
    if "methods" in tree:
        raise ConfigError(f"{source}: expected a run file, got a study; use segdistill study")
    with_overrides = config.override(tree, overrides)
    trees = config.cohort(with_overrides)
    checked = {}
    for name, tree in trees.items():
        try:
            checked[name] = check_tree(tree)
        except ConfigError as error:
            learner = f" (learner {name})" if name else ""
            raise ConfigError(f"{source}{learner}: {error}") from None
    return checked


def check_tree(tree: config.Tree) -> RunConfig:
    """Check the tree of one run; a teacher that a run wrote may be given by its weights alone.

    Raises:
        ConfigError: see :func:`segdistill.config.check`.
    """
    checked = config.check(_with_saved_teacher(tree))
    unlabelled = checked.data.unlabelled
    if unlabelled is not None and unlabelled.labels == "refuse":
        for place, term in enumerate(checked.distill):
            if LOSSES[term.loss].uses_labels:
                raise ConfigError(
                    f"distill.{place}: expected losses that need no labels beside data.unlabelled, "
                    f"got {term.loss}; data.unlabelled.labels=teacher gives it the teacher's "
                    "prediction there"
                )
    return checked


def load_study(source: str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a study file, or the packaged study of that name.

    Args:
        source: path of a YAML file, or the name of a recipe such as ``studies/scenes``.
        overrides: ``a.b=value`` words.

    Raises:
        ConfigError: see :func:`segdistill.config.check_study`.
    """
    tree = read(source)
    if "methods" not in tree:
        raise ConfigError(
            f"{source}: expected a study file with methods, got none; see segdistill recipes copy "
            "studies/scenes"
        )
    try:
        return config.check_study(config.override(tree, overrides))
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def _with_saved_teacher(tree: config.Tree) -> config.Tree:
    """Fill in a teacher that is given by its weights alone from what was saved with them."""
    teacher = tree.get("teacher")
    if not isinstance(teacher, dict) or "network" in teacher or "weights" not in teacher:
        return tree
    try:
        with safe_open(str(teacher["weights"]), framework="np") as file:
            saved = json.loads((file.metadata() or {})["config"])["network"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ConfigError(
            f"teacher.weights: expected a model.safetensors of a run, got {teacher['weights']} "
            f"({error}); or name the network beside it"
        ) from None
    return {**tree, "teacher": {**saved, **teacher}}


def read(source: str | Path) -> config.Tree:
    """Return the tree of a config file, or of the packaged recipe of that name.

    Raises:
        ConfigError: there is neither.
    """
    file = Path(source)
    if file.is_file() or file.suffix in (".yaml", ".yml"):
        return config.read_tree(file)
    recipes = recipe_files()
    if str(source) not in recipes:
        raise ConfigError(
            f"{source}: expected a config file or the name of a recipe; "
            f"{nearest(str(source), recipes)}"
        )
    return config.parse_tree(recipes[str(source)].read_text(encoding="utf-8"), str(source))
