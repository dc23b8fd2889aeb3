"""The study file: pairs, methods, what is searched, seeds, and where it runs."""

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
from segdistill.config.mistakes import validate
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
"""The method that learns nothing from the teacher: every study has it."""

MOST_SEEDS = 40
"""As many as the exact test over seeds can take."""


CHANGES_NO_RUN = ("engine", "equivalence")
"""Keys of a study file that change where it runs, or what is said of its runs."""


class Range(Section):
    """An interval that a setting is drawn from."""

    low: float = Field(description="lower end")
    high: float = Field(description="upper end")
    log: bool = Field(False, description="draw evenly on a logarithmic scale")


Choices = tuple[bool | int | float | str | None, ...]
Space = dict[str, Range | Choices]
"""What is searched: the path of a setting, as in an override, to its values or range."""


class PairConfig(Section):
    """A teacher and a student, as in a run file."""

    teacher: Tree = Field(description="section teacher of a run file, with its weights")
    student: Tree = Field(description="section student of a run file")
    self_weights: str | None = Field(
        None,
        exclude_if=operator.not_,
        description="of a plain student that control self_distillation learns from; null: the "
        "study trains one first",
    )


class MethodConfig(Section):
    """What is compared: distillation terms, and what is searched beside the shared space."""

    distill: tuple[Tree, ...] = Field((), description="terms, as in a run file")
    grid: dict[str, Choices] = Field(
        {},
        exclude=True,  # of what it makes: each is a method by itself
        description="values of settings of the terms, such as {distill.0.weight: [1, 10]}; each "
        "combination is a method by itself, called by its values: kl-1, kl-10",
    )
    space: Space | None = Field(
        None,
        description="what is searched for this method alone; null: each weight from a tenth to "
        "ten times its value",
    )
    control: (
        Literal["longer", "label_smoothing", "random_teacher", "self_distillation", "hard_labels"]
        | None
    ) = Field(
        None,
        exclude_if=operator.not_,
        description="what else differs, where this is a control arm; the study's key controls "
        "makes one of a word",
    )


class PruningConfig(Section):
    """Successive halving: trials that fall behind earlier trials of their method end early."""

    rungs: Count = Field(2, description="how many times a trial may be ended early")
    factor: int = Field(
        2,
        ge=2,
        description="factor of the steps from one rung to the next; one trial in as many goes on",
    )


def _is_one(value: int) -> bool:
    return value == 1


def searches_of(seeds: Sequence[int], repeats: int) -> dict[int, int]:
    """Return which search each final seed takes its values from: one after the other."""
    return {seed: place % repeats for place, seed in enumerate(seeds)}


class SearchConfig(Section):
    """How settings are chosen, alike for every method and the plain student."""

    trials: int = Field(
        0,
        ge=0,
        description="trials for each method; 0 searches nothing",
        json_schema_extra={"unit": "trials"},
    )
    sampler: Literal["grid", "random", "tpe"] = Field(
        "tpe",
        description="how trials are chosen: every combination, at random, or near good trials",
    )
    parallel: Count = Field(
        1,
        description="trials of a method that are chosen together, before the result of any is "
        "known",
        json_schema_extra={"unit": "trials"},
    )
    steps: Count | None = Field(
        None,
        description="optimiser steps of a trial; null: training.steps",
        json_schema_extra={"unit": "steps"},
    )
    holdout: float = Field(
        0.2,
        gt=0.0,
        lt=1.0,
        description="share of the training split that trials do not train on and are scored on",
    )
    space: Space | None = Field(
        None,
        description="what is searched for every method; null: training.lr from a quarter to four "
        "times and training.weight_decay from a tenth to ten times its value",
    )
    pruning: PruningConfig | None = Field(
        None, description="end bad trials early: rungs, factor; null: never"
    )
    seed: int = Field(
        0, description="seed of what is chosen, and of the trials' data and initial weights"
    )
    repeats: Count = Field(
        1,
        exclude_if=_is_one,
        description="independent searches of every method, each with its trials; the final seeds "
        "are divided among them, and intervals hold the chance of the search",
        json_schema_extra={"unit": "searches"},
    )


class EngineConfig(Section):
    """Where cohorts run; nothing here changes a result."""

    name: Literal["local", "ray"] = Field(
        "local", description="where cohorts run: on this machine or on a Ray cluster"
    )
    processes: Count = Field(
        1,
        description="local: cohorts that run at the same time; 1 runs them in this process",
        json_schema_extra={"unit": "cohorts"},
    )
    address: str | None = Field(
        None, description="ray: address of a running cluster; null: start one here"
    )
    threads: Count | None = Field(
        None,
        description="threads of torch for each cohort on a CPU; null: as many as torch "
        "takes, divided over the cohorts that run at once",
    )
    cpus: PositiveFloat = Field(1.0, description="ray: CPU cores reserved for a cohort")
    gpus: float = Field(0.0, ge=0.0, description="ray: GPUs reserved for a cohort")
    retries: int = Field(
        3,
        ge=0,
        description="how many times a cohort is tried again when its machine, memory, disk or a "
        "process fails, before its runs are left open",
    )
    memory_mib: PositiveFloat | None = Field(
        None,
        description="memory that a cohort may take; null: four fifths of what is free",
        json_schema_extra={"unit": "MiB"},
    )


class StudyConfig(Section):
    """Everything that makes a study, apart from where it is written."""

    data: Tree = Field(description="section data of all runs; the study sets data.seed")
    pairs: dict[str, PairConfig] = Field(
        description="by name, a teacher and a student each; or the keys teacher and student alone"
    )
    methods: dict[str, MethodConfig] = Field(
        description="by name, what is compared: a list of terms, or distill, grid and space; "
        "plain, without terms, is always among them"
    )
    training: Tree = Field(description="section training of all runs; the study sets its seed")
    evaluation: Tree = Field({}, description="section evaluation of the final runs")
    search: SearchConfig = SearchConfig()
    seeds: tuple[int, ...] = Field(
        tuple(range(8)), description="seeds of the final runs: how many, or a list of them"
    )
    match: Literal["steps", "seconds"] = Field(
        "steps",
        description="what every method gets alike: optimiser steps, or the seconds that the "
        "plain student took",
    )
    equivalence: float = Field(
        0.5,
        ge=0.0,
        description="largest difference that does not matter: a method whose interval lies within "
        "it is called equal to plain; changes no run",
        json_schema_extra={"unit": "mIoU points"},
    )
    engine: EngineConfig = EngineConfig()
    trust: tuple[str, ...] = Field((), exclude=True, description=TRUST)

    def tree(self) -> Tree:
        """Return the study as YAML would hold it, every default written out."""
        tree: Tree = self.model_dump(mode="json")
        return tree

    def hash(self) -> str:
        """Return 12 hexadecimal digits of all that changes the runs of the study."""
        tree = {key: own for key, own in self.tree().items() if key not in CHANGES_NO_RUN}
        for pair in tree["pairs"].values():
            pair.pop("self_weights", None)  # which the study may have made itself
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]


def check_study(tree: Mapping[str, Any]) -> StudyConfig:
    """Check the tree of a study file, with the sections and spaces of the runs in it.

    ``teacher`` and ``student`` may stand in place of ``pairs``, a list of terms in place of a
    method, a method with a grid in place of one for each of its values, and a number in place of
    ``seeds``.

    Raises:
        ConfigError: an unknown key, a missing one, or a value that its key does not take; one
            line.
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
        # Refused below as too many, without making them all.
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
    """Return a method for each word of ``controls``; terms that it borrows are written out."""
    if (
        not isinstance(words, list)
        or not all(isinstance(word, str) for word in words)
        or len(set(words)) < len(words)
    ):
        raise ConfigError(f"controls: expected a list of different words, got {words!r}")
    named = [own for own in methods.values() if isinstance(own, Mapping)]
    first = next((own["distill"] for own in named if own.get("distill")), None)
    found: dict[str, Tree] = {}
    for word in words:
        if word not in CONTROLS:
            raise ConfigError(f"controls: unknown word {word!r}; {nearest(word, CONTROLS)}")
        if word in methods:
            raise ConfigError(f"controls: expected no method named {word} beside the control of it")
        own = CONTROLS[word].terms
        if own == "first":
            terms = first or [{"loss": "pixelwise_kl"}]
        else:
            terms = [] if own == "none" else list(own)
        found[word] = {"control": word, "distill": terms}
    return found


def _spread_grids(methods: Mapping[str, Any]) -> Tree:
    """Return the methods, each combination of a grid's values as one of its own.

    Raises:
        ConfigError: a grid has no values, or those of something else than a term.
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
                f"{where}: expected values by setting, as {{distill.0.weight: [1, 10]}}, got {grid}"
            )
        for path in grid:
            if not str(path).startswith("distill."):
                raise ConfigError(
                    f"{where}.{path}: expected a setting of a term, as distill.0.weight; other "
                    "settings are alike for all methods, or searched"
                )
        rest = {key: value for key, value in method.items() if key != "grid"}
        for cell in itertools.product(*grid.values()):
            own = "-".join([name, *map(_word, cell)])
            if own in spread or own in methods:
                raise ConfigError(f"{where}: expected different values, got two methods {own}")
            spread[own] = rest
            for path, value in zip(grid, cell, strict=True):
                spread[own] = put(spread[own], path, value)
    return spread


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)


def _check_sections(study: StudyConfig, given: Mapping[str, Any]) -> None:
    """Check what runs are made of, each section once, named as the file names it."""
    check_named(DataConfig, study.data, "data")
    validate(TrainingConfig, study.training, "training")
    validate(EvaluationConfig, study.evaluation, "evaluation")
    for name, pair in study.pairs.items():
        where = f"pairs.{name}." if "pairs" in given else ""
        for role, network in (("teacher", pair.teacher), ("student", pair.student)):
            # What was saved with the weights describes a teacher that names no network.
            members = network.get("members")
            parts = [network, *(members if isinstance(members, list) else ())]
            if all("network" in part or "weights" not in part for part in parts):
                check_named(NetworkConfig, network, where + role)
    for name, method in study.methods.items():
        inner = "" if isinstance(given["methods"].get(name), list) else ".distill"
        for place, term in enumerate(method.distill):
            check_named(LossConfig, term, f"methods.{name}{inner}.{place}")
        _check_space(study, method, study.search.space, "search.space")
        _check_space(study, method, method.space, f"methods.{name}.space")


def _check_space(study: StudyConfig, method: MethodConfig, space: Space | None, where: str) -> None:
    """Check that every value that may be tried is one that its setting takes."""
    terms = list(method.distill)
    for path, values in (space or {}).items():
        section, _, key = path.partition(".")
        for value in (values.low, values.high) if isinstance(values, Range) else values:
            if section == "training":
                changed = put(study.training, key, value) if key else value
                validate(TrainingConfig, changed, f"{where}.training")
            elif section == "distill" and terms:
                changed = put({"distill": terms}, path, value)["distill"]
                for place, term in enumerate(changed):
                    check_named(LossConfig, term, f"{where}.distill.{place}")
            elif section not in RunConfig.model_fields:
                raise ConfigError(
                    f"unknown key '{where}.{path}'; {nearest(section, RunConfig.model_fields)}"
                )


def _check_whole(study: StudyConfig) -> None:
    for kind, names in (("pairs", study.pairs), ("methods", study.methods)):
        for name in names:
            check_name(name, kind)
    if study.methods[PLAIN].distill:
        raise ConfigError(f"methods.{PLAIN}: expected no terms, since it is the baseline")
    for name, method in study.methods.items():
        if name != PLAIN and not method.distill and method.control is None:
            raise ConfigError(f"methods.{name}.distill: expected at least one term, got none")
    if not study.pairs or len(study.methods) < 2:
        raise ConfigError("study: expected at least one pair and one method beside plain")
    if study.match == "seconds" and any(m.control == "longer" for m in study.methods.values()):
        raise ConfigError(
            "controls: expected no 'longer' with match: seconds, where every method has the plain "
            "student's time already; leave it out"
        )
    if not study.seeds or len(set(study.seeds)) < len(study.seeds):
        raise ConfigError(f"seeds: expected different seeds, got {list(study.seeds)}")
    if study.search.repeats > len(study.seeds) or (
        study.search.repeats > 1 and not study.search.trials
    ):
        raise ConfigError(
            f"search.repeats: expected at most as many searches as seeds, {len(study.seeds)}, each "
            f"with trials, got {study.search.repeats} of {study.search.trials} trials"
        )
    if len(study.seeds) > MOST_SEEDS:
        raise ConfigError(
            f"seeds: expected at most {MOST_SEEDS}, as many as the exact test can take, got "
            f"{len(study.seeds)}"
        )
    trained = f"{study.data.get('train_split', 'train')}{SIGN}holdout"
    scored = study.evaluation.get("split", "val")
    if study.search.trials and shared_splits(trained, scored):
        raise ConfigError(
            f"evaluation.split: expected a split that trials are not scored on, got "
            f"{scored!r}, of which search.holdout is a part; choose another, or "
            "search.trials=0"
        )
