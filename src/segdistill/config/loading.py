"""From a YAML file, recipe or study to checked configs; free of torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from segdistill import config
from segdistill.catalogue.datasets import (
    DATASETS,
    dataset_settings,
    label_settings,
    later_settings,
)
from segdistill.catalogue.losses import LOSSES, Loss
from segdistill.catalogue.networks import NETWORKS, SOURCES
from segdistill.catalogue.tables import Entry, settings
from segdistill.checks import nearest
from segdistill.config import Choice, Choices, RunConfig, StudyConfig
from segdistill.errors import ConfigError
from segdistill.trust import check_from_file, check_programs, check_targets, own_words


@cache
def choices() -> Choices:
    """Return everything that a config may name, with settings and defaults."""
    return Choices(
        loss={name: _loss_choice(row) for name, row in LOSSES.items()},
        network=_entry_choices("segdistill.models", NETWORKS)
        | {
            f"{source}:": choice
            for source, choice in _entry_choices("segdistill.models", SOURCES).items()
        },
        dataset={name: _dataset_choice(name) for name in DATASETS},
    )


def load_configs(
    source: str | Path, overrides: Sequence[str] = (), *, trust: Sequence[str] = ()
) -> dict[str, RunConfig]:
    """Read a config file or packaged recipe into checked configs, one a learner.

    Args:
        source: path of a YAML file, or the name of a recipe.
        overrides: ``a.b=value`` words; those that start with ``cohort.`` change one learner.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.

    Returns:
        Configs by learner; a file without a ``cohort`` section has one, named ``""``.

    Raises:
        ConfigError: see :func:`segdistill.config.check`.
    """
    tree = read(source)
    if "methods" in tree:
        raise ConfigError(f"{source}: expected a run file, got a study; use segdistill study")
    with_overrides = _trusting(config.override(tree, overrides), trust, source)
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
    checked = config.check(_with_saved_teacher(tree), choices())
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


def load_study(
    source: str | Path, overrides: Sequence[str] = (), *, trust: Sequence[str] = ()
) -> StudyConfig:
    """Read a study file, or the packaged study of that name.

    Args:
        source: path of a YAML file, or the name of a recipe such as ``studies/scenes``.
        overrides: ``a.b=value`` words.
        trust: as for :func:`load_configs`.

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
        return config.check_study(_trusting(config.override(tree, overrides), trust, source))
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
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"teacher.weights: expected a model.safetensors of a run, got {teacher['weights']} "
            f"({error}); or name the network beside it"
        ) from None
    check_saved(saved, teacher["weights"], own_words(tree))
    return {**tree, "teacher": {**saved, **teacher}}


def check_saved(
    saved: object, source: str | Path, trusted: Collection[str]
) -> config.NetworkConfig:
    """Check the description of a network that came inside a file.

    Args:
        saved: what the file's metadata say.
        source: the file.
        trusted: targets that the person named.

    Raises:
        ConfigError: it names code that the person did not, a network that does not exist, or
            settings that this network has not.
    """
    name = saved.get("network") if isinstance(saved, dict) else None
    check_from_file(name, trusted, source)
    return config.check_network(saved, choices(), f"{source}: network in the metadata")


def _trusting(tree: config.Tree, targets: Sequence[str], source: str | Path) -> config.Tree:
    """Return a person's tree with all that they trust under ``trust``, after checking it."""
    written = tree.get("trust") or []
    written = [written] if isinstance(written, str) else written
    if not isinstance(written, list):
        raise ConfigError(f"{source}: trust: expected a list of targets, got {written!r}")
    trusted = check_targets([*written, *targets])
    rest = {key: value for key, value in tree.items() if key != "trust"}
    check_programs(rest, trusted, source)
    return {**rest, "trust": list(trusted)} if trusted else rest


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


def recipe_files() -> dict[str, Traversable]:
    """Return the packaged run files by name, such as ``camvid/teacher``."""
    found: dict[str, Traversable] = {}
    folders = [("", files("segdistill") / "recipes")]
    for prefix, folder in folders:
        for entry in sorted(folder.iterdir(), key=lambda item: item.name):
            if entry.is_dir() and not entry.name.startswith("__"):
                folders.append((f"{prefix}{entry.name}/", entry))
            elif entry.name.endswith(".yaml"):
                found[prefix + entry.name.removesuffix(".yaml")] = entry
    return found


def _loss_choice(row: Loss) -> Choice:
    return Choice(
        settings=settings("segdistill.losses", row.target, row.given),
        defaults={
            "tap": row.tap,
            "weight": row.weight,
            "align": row.align,
            "project": row.project,
        },
    )


def _dataset_choice(name: str) -> Choice:
    return Choice(
        settings=dataset_settings(name),
        later=later_settings(name),
        of_labels=tuple(label_settings(name)),
    )


def _entry_choices(package: str, table: Mapping[str, Entry]) -> dict[str, Choice]:
    return {
        name: Choice(settings(package, entry.target, entry.given)) for name, entry in table.items()
    }
