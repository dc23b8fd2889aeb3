"""From a YAML file, recipe or study to checked configs, without importing torch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill import config
from segdistill.catalogue.losses import row_of
from segdistill.catalogue.networks import ENSEMBLE
from segdistill.catalogue.recipes import recipe_files
from segdistill.checks import nearest
from segdistill.config import RunConfig, StudentSearchConfig, StudyConfig
from segdistill.config.checking import check_named
from segdistill.config.ensembles import networks_of
from segdistill.config.foreign import check_foreign, fetch_nothing
from segdistill.errors import CheckpointError, ConfigError, RunFolderError
from segdistill.files import expand_path
from segdistill.runs.student import read_student
from segdistill.trust import check_from_file, check_programs, check_targets, own_words
from segdistill.yaml_text import MOST_BITS


@dataclass(frozen=True)
class LoadedConfig:
    """A config that was read and checked, with its source.

    Attributes:
        source: config file or name of a recipe.
        overrides: the ``a.b=value`` overrides that were applied.
        learners: checked configs, one per learner; a single one is named ``""``.
        trust: ``import:`` and ``file:`` targets that config files may name.
    """

    source: str
    overrides: tuple[str, ...]
    learners: Mapping[str, RunConfig]
    trust: tuple[str, ...] = ()


def load_config(
    source: str | Path | LoadedConfig, overrides: Sequence[str] = (), *, trust: Sequence[str] = ()
) -> LoadedConfig:
    """Read and check a config unless that has been done; see :func:`load_configs`.

    Args:
        source: path of a YAML file, the name of a recipe, or a result of this function, which
            is read again only if there are overrides or targets to trust.
        overrides: overrides of the form ``a.b=value``.
        trust: ``import:`` and ``file:`` targets that config files may name; see
            :mod:`segdistill.trust`.
    """
    if not isinstance(source, LoadedConfig):
        learners = load_configs(source, overrides, trust=trust)
        return LoadedConfig(str(source), tuple(overrides), learners, tuple(trust))
    if not overrides and not trust:
        return source
    words, targets = [*source.overrides, *overrides], [*source.trust, *trust]
    return load_config(source.source, words, trust=targets)


def load_configs(
    source: str | Path, overrides: Sequence[str] = (), *, trust: Sequence[str] = ()
) -> dict[str, RunConfig]:
    """Read a config file or packaged recipe into checked configs, one per learner.

    Args:
        source: path of a YAML file, or the name of a recipe.
        overrides: overrides ``a.b=value``; those that start with ``cohort.`` change one learner.
        trust: ``import:`` and ``file:`` targets that config files may name; see
            :mod:`segdistill.trust`.

    Returns:
        Configs by learner; a file without a ``cohort`` section has one learner, named ``""``.

    Raises:
        ConfigError: see :func:`segdistill.config.check`.
    """
    tree = read(source)
    if "methods" in tree:
        raise ConfigError(f"{source}: expected a run file, got a study; use segdistill study")
    if "students" in tree:
        raise ConfigError(
            f"{source}: expected a run file, got a search of students; use segdistill search"
        )
    with_overrides = _trusting(config.override(tree, overrides), trust, source)
    trees = config.cohort(with_overrides)
    checked = {}
    for name, tree in trees.items():
        try:
            checked[name] = check_tree(tree)
            for role in ("teacher", "student"):
                if (section := getattr(checked[name], role)) is not None:
                    for where, network in networks_of(section, role).items():
                        check_foreign(network, where)
        except ConfigError as error:
            learner = f" (learner {name})" if name else ""
            raise ConfigError(f"{source}{learner}: {error}") from None
    return checked


def check_tree(tree: config.Tree) -> RunConfig:
    """Check the tree of one run; a teacher from a run may be given by its weights alone.

    Raises:
        ConfigError: see :func:`segdistill.config.check`.
    """
    checked = config.check(with_saved_teacher(tree))
    unlabelled = checked.data.unlabelled
    if unlabelled is not None and unlabelled.labels == "refuse":
        for index, term in enumerate(checked.distill):
            if row_of(term.loss).uses_labels:
                raise ConfigError(
                    f"distill.{index}: expected losses that need no labels, because of "
                    f"data.unlabelled, got {term.loss}; data.unlabelled.labels=teacher gives it "
                    "the teacher's prediction on those images"
                )
    return checked


def load_study(
    source: str | Path, overrides: Sequence[str] = (), *, trust: Sequence[str] = ()
) -> StudyConfig:
    """Read a study file, or a packaged study by name.

    Args:
        source: path of a YAML file, or the name of a recipe such as ``studies/scenes``.
        overrides: overrides of the form ``a.b=value``.
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


def load_search(
    source: str | Path, overrides: Sequence[str] = (), *, trust: Sequence[str] = ()
) -> StudentSearchConfig:
    """Read a file that searches students, or a packaged one by name.

    Args:
        source: path of a YAML file, or the name of a recipe such as ``searches/scenes``.
        overrides: overrides of the form ``a.b=value``.
        trust: as for :func:`load_configs`.

    Raises:
        ConfigError: see :func:`segdistill.config.check_search`.
    """
    tree = read(source)
    others = {"methods": "a study", "student": "a run file", "cohort": "a run file"}
    other = next((what for key, what in others.items() if key in tree), None)
    if other is not None:
        raise ConfigError(
            f"{source}: expected a file with students to search, got {other}; see segdistill "
            "recipes copy searches/scenes"
        )
    try:
        return config.check_search(_trusting(config.override(tree, overrides), trust, source))
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def with_saved_teacher(tree: config.Tree) -> config.Tree:
    """Complete teachers that are given only by their weights with what was saved with them.

    Raises:
        ConfigError: nothing was saved, or it names code that the user has not trusted.
    """
    if tree.get("teacher") is None:
        return tree
    return {**tree, "teacher": _described(tree["teacher"], "teacher", own_words(tree))}


def _described(teacher: Any, where: str, trusted: Collection[str]) -> Any:
    if not isinstance(teacher, dict):
        return teacher
    if isinstance(members := teacher.get("members"), list):
        described = [
            _described(member, f"{where}.members.{index}", trusted)
            for index, member in enumerate(members)
        ]
        return {**teacher, "members": described}
    if "network" in teacher or "weights" not in teacher:
        return teacher
    try:
        saved = read_student(Path(str(teacher["weights"]))).network
    except (CheckpointError, RunFolderError) as error:
        raise ConfigError(
            f"{where}.weights: {error}; or name the network as well as the weights"
        ) from None
    check_saved(saved, teacher["weights"], trusted)
    return {**saved, **teacher}


def check_saved(
    saved: object, source: str | Path, trusted: Collection[str]
) -> config.NetworkConfig:
    """Check the description of a network that was stored in a file.

    Published weights that it asks for are left out: the file's own follow.

    Args:
        saved: the description in the file's metadata.
        source: the file.
        trusted: targets that the user has trusted.

    Raises:
        ConfigError: it names code that the user has not trusted, a network that does not exist,
            or settings that the network does not have.
    """
    name = saved.get("network") if isinstance(saved, dict) else None
    if name == ENSEMBLE:
        raise ConfigError(f"{source}: expected one network in the metadata, got an ensemble")
    check_from_file(name, trusted, source)
    if any(value.bit_length() > MOST_BITS for value in _integers(saved)):
        raise ConfigError(
            f"{source}: expected integers of at most {MOST_BITS} bits in the metadata, got a larger"
        )
    section = check_named(config.NetworkConfig, saved, f"{source}: network in the metadata")
    return section.model_copy(update=fetch_nothing(section.network, section.settings()))


def _integers(tree: object) -> Iterator[int]:
    if isinstance(tree, int):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from _integers(value)


def _trusting(tree: config.Tree, targets: Sequence[str], source: str | Path) -> config.Tree:
    """Return a user's tree with all trusted targets under ``trust``, after checking it."""
    written = tree.get("trust") or []
    written = [written] if isinstance(written, str) else written
    if not isinstance(written, list):
        raise ConfigError(f"{source}: trust: expected a list of targets, got {written!r}")
    trusted = check_targets([*written, *targets])
    rest = {key: value for key, value in tree.items() if key != "trust"}
    check_programs(rest, trusted, source)
    return {**rest, "trust": list(trusted)} if trusted else rest


def read(source: str | Path) -> config.Tree:
    """Return the tree of a config file, or of a packaged recipe by name.

    Raises:
        ConfigError: there is neither such a file nor such a recipe.
    """
    if not isinstance(source, str | Path):
        raise ConfigError(
            "config: expected a config file or the name of a recipe, got "
            f"{type(source).__name__}; write it to a file with yaml.safe_dump"
        )
    file = expand_path(source)
    if file.is_file() or file.suffix in (".yaml", ".yml"):
        return config.read_tree(file)
    recipes = recipe_files()
    if str(source) not in recipes:
        raise ConfigError(
            f"{source}: expected a config file or the name of a recipe; "
            f"{nearest(str(source), recipes)}"
        )
    return config.parse_tree(recipes[str(source)].read_text(encoding="utf-8"), str(source))
