"""The study file: pairs, methods, search, seeds, and where it runs."""

from __future__ import annotations

import hashlib
import itertools
import json
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, PositiveFloat

from segdistill.catalogue.controls import CONTROLS
from segdistill.checks import nearest
from segdistill.config.checking import check_named
from segdistill.config.mistakes import shown, validate
from segdistill.config.sections import (
    TRUST,
    Count,
    DataConfig,
    EvaluationConfig,
    LossConfig,
    NetworkConfig,
    RunConfig,
    Section,
    TrainingConfig,
    Tree,
)
from segdistill.config.splits import SIGN, shared_splits
from segdistill.config.trees import check_name, put
from segdistill.errors import ConfigError

PLAIN = "plain"
"""The method without distillation, which is part of every study."""

AGAIN = "plain_again"
"""The control that is plain from other initial weights, and with it the baseline."""

MOST_SEEDS = 40
"""The largest number of seeds for which the exact test is feasible."""


CHANGES_NO_RUN = ("engine", "equivalence")
"""Keys of a study file that change where it runs or how runs are judged, but no run."""


class Range(Section):
    """An interval from which a setting is drawn."""

    low: float = Field(description="lower end of the interval")
    high: float = Field(description="upper end of the interval")
    log: bool = Field(False, description="draw uniformly on a logarithmic scale")


Choices = tuple[bool | int | float | str | None, ...]
Space = dict[str, Range | Choices]
"""A search space: paths of settings, as in overrides, with their values or range."""


class PairConfig(Section):
    """A teacher and a student, as in a run file."""

    teacher: Tree = Field(description="the section teacher of a run file, with its weights")
    student: Tree = Field(description="the section student of a run file")
    self_weights: str | None = Field(
        None,
        exclude_if=operator.not_,
        description="weights of the plain student from which control self_distillation learns; "
        "null: the study trains one first",
    )


class MethodConfig(Section):
    """A method to compare: its distillation terms and its own search space."""

    distill: tuple[Tree, ...] = Field((), description="distillation terms, as in a run file")
    grid: dict[str, Choices] = Field(
        {},
        exclude=True,  # each combination becomes a method of its own
        description="values of the terms' settings, such as {distill.0.weight: [1, 10]}; each "
        "combination becomes a method named after its values: kl-1, kl-10",
    )
    space: Space | None = Field(
        None,
        description="search space of this method alone; null: each weight from a tenth to ten "
        "times its value",
    )
    control: (
        Literal[
            "longer",
            "label_smoothing",
            "random_teacher",
            "self_distillation",
            "hard_labels",
            "plain_again",
        ]
        | None
    ) = Field(
        None,
        exclude_if=operator.not_,
        description="name of the control arm that this method is; written by the study's key "
        "controls",
    )


class PruningConfig(Section):
    """Successive halving: trials that fall behind earlier ones of their method stop early."""

    rungs: Count = Field(2, description="number of times at which a trial may be stopped early")
    factor: int = Field(
        2,
        ge=2,
        description="factor of the steps between rungs; one trial in this many continues",
    )


def _is_one(value: int) -> bool:
    return value == 1


def searches_of(seeds: Sequence[int], repeats: int) -> dict[int, int]:
    """Return the search whose values each final seed uses, assigned in turn."""
    return {seed: index % repeats for index, seed in enumerate(seeds)}


class SearchConfig(Section):
    """How settings are searched, in the same way for every method and the plain student."""

    trials: int = Field(
        0,
        ge=0,
        description="number of trials per method; 0: no search",
        json_schema_extra={"unit": "trials"},
    )
    sampler: Literal["grid", "random", "tpe"] = Field(
        "tpe",
        description="how trials are chosen: grid: every combination; random; tpe: near good ones",
    )
    parallel: Count = Field(
        1,
        description="number of trials of a method that are chosen at once, before the result of "
        "any of them is known",
        json_schema_extra={"unit": "trials"},
    )
    steps: Count | None = Field(
        None,
        description="optimiser steps per trial; null: training.steps",
        json_schema_extra={"unit": "steps"},
    )
    holdout: float = Field(
        0.2,
        gt=0.0,
        lt=1.0,
        description="share of the training split on which trials are scored instead of trained",
    )
    space: Space | None = Field(
        None,
        description="search space shared by all methods; null: training.lr from a quarter to four "
        "times its value and training.weight_decay from a tenth to ten times",
    )
    pruning: PruningConfig | None = Field(
        None, description="stop bad trials early (rungs, factor); null: never"
    )
    seed: int = Field(
        0, description="seed of the sampler and of the trials' data and initial weights"
    )
    repeats: Count = Field(
        1,
        exclude_if=_is_one,
        description="number of independent searches per method, each with all its trials; the "
        "final seeds are divided among them, so that intervals include the chance of the search",
        json_schema_extra={"unit": "searches"},
    )


class EngineConfig(Section):
    """Where cohorts run; nothing here changes a result."""

    name: Literal["local", "ray"] = Field(
        "local", description="where cohorts run: on this machine or on a Ray cluster"
    )
    processes: Count = Field(
        1,
        description="local: number of cohorts that run at once; 1: run them in this process",
        json_schema_extra={"unit": "cohorts"},
    )
    address: str | None = Field(
        None, description="ray: address of a running cluster; null: start one here"
    )
    threads: Count | None = Field(
        None,
        description="number of torch threads per cohort on a CPU; null: torch's number, divided "
        "among the cohorts that run at once",
    )
    cpus: PositiveFloat = Field(1.0, description="ray: CPU cores reserved per cohort")
    gpus: float = Field(0.0, ge=0.0, description="ray: GPUs reserved per cohort")
    retries: int = Field(
        3,
        ge=0,
        description="how many times a cohort is retried after its machine, memory, disk or "
        "process failed, before its runs are left unfinished",
    )
    memory_mib: PositiveFloat | None = Field(
        None,
        description="memory that a cohort may use; null: four fifths of what is free",
        json_schema_extra={"unit": "MiB"},
    )


class StudyConfig(Section):
    """Everything that defines a study, except where it is written."""

    data: Tree = Field(
        description="the section data that all runs share; the study sets data.seed itself"
    )
    pairs: dict[str, PairConfig] = Field(
        description="pairs of a teacher and a student, by name; the keys teacher and student "
        "stand for a single pair"
    )
    methods: dict[str, MethodConfig] = Field(
        description="methods to compare, by name: each a list of terms, or distill, grid and "
        "space; plain, without terms, is always added"
    )
    training: Tree = Field(
        description="the section training that all runs share; the study sets training.seed itself"
    )
    evaluation: Tree = Field({}, description="the section evaluation of the final runs")
    search: SearchConfig = Field(
        SearchConfig(),
        description="how settings are searched, in the same way for every method",
    )
    seeds: tuple[int, ...] = Field(
        tuple(range(8)), description="seeds of the final runs: their number, or a list of them"
    )
    match: Literal["steps", "seconds"] = Field(
        "steps",
        description="budget that is equal for every method: optimiser steps, or the seconds that "
        "the plain student took",
    )
    equivalence: float = Field(
        0.5,
        ge=0.0,
        description="largest difference that does not matter: a method whose whole interval lies "
        "within it is called equivalent to plain; changes no run",
        json_schema_extra={"unit": "mIoU points"},
    )
    engine: EngineConfig = Field(
        EngineConfig(), description="where cohorts run; nothing here changes a result"
    )
    trust: tuple[str, ...] = Field((), exclude=True, description=TRUST)

    def tree(self) -> Tree:
        """Return the study as it would stand in YAML, with every default."""
        tree: Tree = self.model_dump(mode="json")
        return tree

    def hash(self) -> str:
        """Return 12 hexadecimal digits that depend on everything that can change a run."""
        tree = {key: own for key, own in self.tree().items() if key not in CHANGES_NO_RUN}
        for pair in tree["pairs"].values():
            pair.pop("self_weights", None)  # the study may have made them itself
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]


def check_study(tree: Mapping[str, Any]) -> StudyConfig:
    """Check a study file's tree, including the run sections and search spaces in it.

    Short forms are expanded: ``teacher`` and ``student`` for a single pair, a list of terms for a
    method, a grid for one method per combination, and a number for ``seeds``.

    Raises:
        ConfigError: an unknown key, a missing one, or a value that its key does not accept.
    """
    given = tree
    tree = dict(tree)
    alone = {key: tree.pop(key) for key in ("teacher", "student") if key in tree}
    if alone and "pairs" in tree:
        raise ConfigError("pairs: expected either pairs, or teacher and student, got both")
    if alone:
        tree["pairs"] = {"student": alone}
    seeds = tree.get("seeds")
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        # Too many are refused below; a huge number need not be expanded for that.
        tree["seeds"] = range(min(seeds, MOST_SEEDS + 1))
    if isinstance(tree.get("methods"), dict):
        methods = {
            name: {"distill": method} if isinstance(method, list) else method or {}
            for name, method in tree["methods"].items()
        }
        methods = _spread_grids(methods)
        tree["methods"] = {PLAIN: {}} | methods | _controls(tree.pop("controls", []), methods)
    study: StudyConfig = validate(StudyConfig, tree)
    _check_whole(study)
    _check_sections(study, given)
    return study


def _controls(words: Any, methods: Mapping[str, Any]) -> dict[str, Tree]:
    """Return a method for each name in ``controls``, with the terms that it borrows."""
    if (
        not isinstance(words, list)
        or not all(isinstance(word, str) for word in words)
        or len(set(words)) < len(words)
    ):
        raise ConfigError(f"controls: expected a list of distinct names, got {words!r}")
    sections = [method for method in methods.values() if isinstance(method, Mapping)]
    first = next((method["distill"] for method in sections if method.get("distill")), None)
    arms: dict[str, Tree] = {}
    for word in words:
        if word not in CONTROLS:
            raise ConfigError(f"controls: unknown control {word!r}; {nearest(word, CONTROLS)}")
        if word in methods:
            raise ConfigError(
                f"controls: expected no method called {word} besides the control of that name"
            )
        terms = CONTROLS[word].terms
        if terms == "first":
            distill = first or [{"loss": "pixelwise_kl"}]
        else:
            distill = [] if terms == "none" else list(terms)
        arms[word] = {"control": word, "distill": distill}
    return arms


def _spread_grids(methods: Mapping[str, Any]) -> Tree:
    """Return the methods, with one method for each combination of a grid's values.

    Raises:
        ConfigError: a grid is empty, or sets something other than a term.
    """
    spread: Tree = {}
    for name, method in methods.items():
        grid = method.get("grid") if isinstance(method, dict) else None
        if not grid:
            spread[name] = method
            continue
        where = f"methods.{name}.grid"
        if not isinstance(grid, dict) or not all(
            isinstance(values, list | tuple) and values for values in grid.values()
        ):
            raise ConfigError(
                f"{where}: expected lists of values by setting, such as "
                f"{{distill.0.weight: [1, 10]}}, got {grid}"
            )
        for path in grid:
            if not str(path).startswith("distill."):
                raise ConfigError(
                    f"{where}.{path}: expected a setting of a term, such as distill.0.weight; "
                    "other settings are the same for all methods, or searched"
                )
        rest = {key: value for key, value in method.items() if key != "grid"}
        for cell in itertools.product(*grid.values()):
            cell_name = "-".join([name, *map(_word, cell)])
            if cell_name in spread or cell_name in methods:
                raise ConfigError(
                    f"{where}: expected distinct values, got two methods called {cell_name}"
                )
            spread[cell_name] = rest
            for path, value in zip(grid, cell, strict=True):
                spread[cell_name] = put(spread[cell_name], path, value)
    return spread


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)


def _check_sections(study: StudyConfig, given: Mapping[str, Any]) -> None:
    """Check the sections that runs are made of, each once, under the names used in the file."""
    check_named(DataConfig, study.data, "data")
    validate(TrainingConfig, study.training, "training")
    validate(EvaluationConfig, study.evaluation, "evaluation")
    for name, pair in study.pairs.items():
        where = f"pairs.{name}." if "pairs" in given else ""
        for role, network in (("teacher", pair.teacher), ("student", pair.student)):
            # A teacher that names no network is described by what was saved with its weights.
            members = network.get("members")
            parts = [network, *(members if isinstance(members, list) else ())]
            if all("network" in part or "weights" not in part for part in parts):
                check_named(NetworkConfig, network, where + role)
    for name, method in study.methods.items():
        inner = "" if isinstance(given["methods"].get(name), list) else ".distill"
        for index, term in enumerate(method.distill):
            check_named(LossConfig, term, f"methods.{name}{inner}.{index}")
        _check_space(study, method, study.search.space, "search.space")
        _check_space(study, method, method.space, f"methods.{name}.space")


def _check_space(study: StudyConfig, method: MethodConfig, space: Space | None, where: str) -> None:
    """Check that every value of a search space is accepted by its setting."""
    terms = list(method.distill)
    for path, values in (space or {}).items():
        section, _, key = path.partition(".")
        for value in (values.low, values.high) if isinstance(values, Range) else values:
            if section == "training":
                changed = put(study.training, key, value) if key else value
                validate(TrainingConfig, changed, f"{where}.training")
            elif section == "distill" and terms:
                changed = put({"distill": terms}, path, value)["distill"]
                for index, term in enumerate(changed):
                    check_named(LossConfig, term, f"{where}.distill.{index}")
            elif section not in RunConfig.model_fields:
                raise ConfigError(
                    f"unknown key '{where}.{path}'; {nearest(section, RunConfig.model_fields)}"
                )


def _check_whole(study: StudyConfig) -> None:
    for kind, names in (("pairs", study.pairs), ("methods", study.methods)):
        for name in names:
            check_name(name, kind)
    if study.methods[PLAIN].distill:
        raise ConfigError(f"methods.{PLAIN}: expected no terms, because it is the baseline")
    for name, method in study.methods.items():
        if (name == AGAIN) != (method.control == AGAIN):
            raise ConfigError(
                f"methods.{name}: expected {AGAIN} to be the control of that name, which is set by "
                f"controls: [{AGAIN}]"
            )
        if name != PLAIN and not method.distill and method.control is None:
            raise ConfigError(f"methods.{name}.distill: expected at least one term, got none")
    if not study.pairs or len(study.methods) < 2:
        raise ConfigError("study: expected at least one pair and one method besides plain")
    if study.match == "seconds" and any(m.control == "longer" for m in study.methods.values()):
        raise ConfigError(
            "controls: expected no 'longer' with match: seconds, because every method already gets "
            "the plain student's time; leave it out"
        )
    if not study.seeds or len(set(study.seeds)) < len(study.seeds):
        raise ConfigError(f"seeds: expected distinct seeds, got {list(study.seeds)}")
    if study.search.repeats > len(study.seeds) or (
        study.search.repeats > 1 and not study.search.trials
    ):
        raise ConfigError(
            f"search.repeats: expected at most one search per seed ({len(study.seeds)}), with at "
            f"least one trial each, got {shown(study.search.repeats)} searches of "
            f"{study.search.trials} trials"
        )
    if len(study.seeds) > MOST_SEEDS:
        raise ConfigError(
            f"seeds: expected at most {MOST_SEEDS}, the limit of the exact test, got "
            f"{len(study.seeds)}"
        )
    trained = f"{study.data.get('train_split', 'train')}{SIGN}holdout"
    scored = study.evaluation.get("split", "val")
    if study.search.trials and shared_splits(trained, scored):
        raise ConfigError(
            "evaluation.split: expected a split on which trials are not scored, got "
            f"{scored!r}, of which search.holdout is a part; choose another split, or set "
            "search.trials=0"
        )
