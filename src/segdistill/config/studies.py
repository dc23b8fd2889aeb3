"""The study file: pairs, methods, what is searched, seeds, and where it runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from segdistill.checks import nearest
from segdistill.config.sections import TRUST, Section, Tree
from segdistill.config.trees import check_name
from segdistill.errors import ConfigError

PLAIN = "plain"
"""The method that learns nothing from the teacher: every study has it."""

MOST_SEEDS = 40
"""As many as the exact test over seeds can take."""


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

    teacher: Tree = Field(description="section teacher, with its weights")
    student: Tree = Field(description="section student")


class MethodConfig(Section):
    """What is compared: distillation terms, and what is searched beside the shared space."""

    distill: tuple[Tree, ...] = Field((), description="terms, as in a run file")
    space: Space | None = Field(
        None, description="own space; by default each weight from a tenth to ten times its value"
    )


class PruningConfig(Section):
    """Successive halving: trials that fall behind earlier trials of their method end early."""

    rungs: PositiveInt = Field(2, description="how often a trial may be ended")
    factor: int = Field(2, ge=2, description="steps grow by it, and one in it goes on")


class SearchConfig(Section):
    """How settings are chosen, alike for every method and the plain student."""

    trials: int = Field(0, ge=0, description="of each method; 0 searches nothing")
    sampler: Literal["grid", "random", "tpe"] = Field("tpe", description="who suggests settings")
    parallel: PositiveInt = Field(
        1, description="trials of a method that are suggested before the results of any is known"
    )
    steps: PositiveInt | None = Field(None, description="of a trial; those of training by default")
    holdout: float = Field(
        0.2, gt=0.0, lt=1.0, description="share of train kept out, on which trials are scored"
    )
    space: Space | None = Field(
        None,
        description="for every method; by default training.lr from a quarter to four times and "
        "training.weight_decay from a tenth to ten times its value",
    )
    pruning: PruningConfig | None = Field(None, description="section: rungs and factor")
    seed: int = Field(0, description="seed of the suggestions, and of data and weights of trials")


class EngineConfig(Section):
    """Where cohorts run; nothing here changes a result."""

    name: Literal["local", "ray"] = Field("local", description="this machine, or a Ray cluster")
    processes: PositiveInt = Field(1, description="local: cohorts at once; 1 runs them right here")
    address: str | None = Field(None, description="ray: of a running cluster, else one is started")
    threads: PositiveInt | None = Field(None, description="of torch, for each cohort on a CPU")
    cpus: PositiveFloat = Field(1.0, description="ray: processors that a cohort needs")
    gpus: float = Field(0.0, ge=0.0, description="ray: GPUs that a cohort needs")
    retries: int = Field(3, ge=0, description="ray: of a cohort whose machine was lost")
    memory_mib: PositiveFloat | None = Field(
        None, description="that a cohort may take; by default four fifths of what is free"
    )


class StudyConfig(Section):
    """Everything that makes a study, apart from where it is written."""

    data: Tree = Field(description="section data of all runs; data.seed is set by the study")
    pairs: dict[str, PairConfig] = Field(description="teacher and student by name")
    methods: dict[str, MethodConfig] = Field(description="by name; plain is always among them")
    training: Tree = Field(description="section training of all runs; the seed is set here too")
    evaluation: Tree = Field({}, description="section evaluation of the final runs")
    search: SearchConfig = SearchConfig()
    seeds: tuple[int, ...] = Field(tuple(range(8)), description="how many, or which")
    match: Literal["steps", "seconds"] = Field(
        "steps", description="what every method gets alike; seconds are those of the plain student"
    )
    engine: EngineConfig = EngineConfig()
    trust: tuple[str, ...] = Field((), exclude=True, description=TRUST)

    def tree(self) -> Tree:
        """Return the study as YAML would hold it, every default written out."""
        tree: Tree = self.model_dump(mode="json")
        return tree

    def hash(self) -> str:
        """Return 12 hexadecimal digits of all that changes the results of the study."""
        tree = {key: value for key, value in self.tree().items() if key != "engine"}
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]


def check_study(tree: Mapping[str, Any]) -> StudyConfig:
    """Check the tree of a study file; the runs in it are checked when they are made.

    ``teacher`` and ``student`` may stand in place of ``pairs``, a list of terms in place of a
    method, and a number in place of ``seeds``.

    Raises:
        ConfigError: an unknown key, a missing one, or a value of the wrong kind; one line.
    """
    tree = dict(tree)
    alone = {key: tree.pop(key) for key in ("teacher", "student") if key in tree}
    if alone and "pairs" in tree:
        raise ConfigError("pairs: expected either pairs, or teacher and student, got both")
    if alone:
        tree["pairs"] = {"student": alone}
    if isinstance(tree.get("seeds"), int):
        tree["seeds"] = range(tree["seeds"])
    if isinstance(tree.get("methods"), dict):
        methods = {
            name: {"distill": method} if isinstance(method, list) else method or {}
            for name, method in tree["methods"].items()
        }
        tree["methods"] = {PLAIN: {}} | methods
    try:
        study = StudyConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_message(error)) from None
    _check_whole(study)
    return study


def _check_whole(study: StudyConfig) -> None:
    for kind, names in (("pairs", study.pairs), ("methods", study.methods)):
        for name in names:
            check_name(name, kind)
    if study.methods[PLAIN].distill:
        raise ConfigError(f"methods.{PLAIN}: expected no terms, since it is the baseline")
    for name, method in study.methods.items():
        if name != PLAIN and not method.distill:
            raise ConfigError(f"methods.{name}.distill: expected at least one term, got none")
    if not study.pairs or len(study.methods) < 2:
        raise ConfigError("study: expected at least one pair and one method beside plain")
    if not study.seeds or len(set(study.seeds)) < len(study.seeds):
        raise ConfigError(f"seeds: expected different seeds, got {list(study.seeds)}")
    if len(study.seeds) > MOST_SEEDS:
        raise ConfigError(
            f"seeds: expected at most {MOST_SEEDS}, as many as the exact test can take, got "
            f"{len(study.seeds)}"
        )
    if study.search.trials and study.evaluation.get("split") in ("train", "holdout"):
        raise ConfigError(
            f"evaluation.split: expected a split that trials are not scored on, got "
            f"{study.evaluation['split']!r}, of which search.holdout is a part; choose another, or "
            "search.trials=0"
        )


def _message(error: ValidationError) -> str:
    first = error.errors()[0]
    # Which of several accepted types a value was tried as is no part of its path.
    parts = [str(part) for part in first["loc"] if not re.search(r"[A-Z\[]", str(part))]
    path = ".".join(parts)
    if first["type"] == "extra_forbidden":
        sections = [_SECTIONS[part] for part in parts[:-1] if part in _SECTIONS]
        model = sections[-1] if sections else StudyConfig
        return f"unknown key '{path}'; {nearest(parts[-1], model.model_fields)}"
    if first["type"] == "missing":
        return f"{path}: expected a value, got none"
    return f"{path}: {first['msg'][0].lower()}{first['msg'][1:]}, got {first['input']!r}"


_SECTIONS: Mapping[str, type[Section]] = {
    "pairs": PairConfig,
    "methods": MethodConfig,
    "search": SearchConfig,
    "pruning": PruningConfig,
    "engine": EngineConfig,
}
