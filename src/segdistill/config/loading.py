"""From a YAML file, recipe or study to checked configs; free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from segdistill import config
from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.losses import LOSSES, Loss
from segdistill.catalogue.networks import NETWORKS, SOURCES
from segdistill.catalogue.tables import Entry, settings
from segdistill.checks import nearest
from segdistill.config import Choice, Choices, RunConfig, StudyConfig
from segdistill.errors import CheckpointError, ConfigError, RunFolderError
from segdistill.runs.student import read_student


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
        dataset=_entry_choices("segdistill.data", DATASETS),
    )


@dataclass(frozen=True)
class LoadedConfig:
    """A config that was read and checked, and where it came from.

    Attributes:
        source: config file or name of a recipe.
        overrides: ``a.b=value`` words that were applied.
        learners: checked configs, one a learner; a single one is named ``""``.
    """

    source: str
    overrides: tuple[str, ...]
    learners: Mapping[str, RunConfig]


def load_config(source: str | Path | LoadedConfig, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read and check a config, unless that was done; see :func:`load_configs`.

    Args:
        source: path of a YAML file, the name of a recipe, or what this function returned,
            which is read again only for the sake of overrides.
        overrides: ``a.b=value`` words.
    """
    if not isinstance(source, LoadedConfig):
        return LoadedConfig(str(source), tuple(overrides), load_configs(source, overrides))
    return load_config(source.source, [*source.overrides, *overrides]) if overrides else source


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
        saved = read_student(Path(str(teacher["weights"]))).network
    except (CheckpointError, RunFolderError) as error:
        raise ConfigError(
            f"teacher.weights: {error}; or name the network beside the weights"
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


def _entry_choices(package: str, table: Mapping[str, Entry]) -> dict[str, Choice]:
    return {
        name: Choice(settings(package, entry.target, entry.given)) for name, entry in table.items()
    }
