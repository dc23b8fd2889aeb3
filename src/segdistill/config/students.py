"""The file of a search of students: their space, the limit of time, and how they are compared."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, PositiveFloat

from segdistill.catalogue.students import STUDENTS
from segdistill.config.checking import check_named
from segdistill.config.mistakes import validate
from segdistill.config.sections import (
    TRUST,
    Count,
    DataConfig,
    EvaluationConfig,
    LossConfig,
    NetworkConfig,
    Section,
    TrainingConfig,
    Tree,
)
from segdistill.config.splits import SIGN, shared_splits
from segdistill.config.studies import MOST_SEEDS, EngineConfig, PruningConfig
from segdistill.config.trees import check_name
from segdistill.errors import ConfigError
from segdistill.json_text import load_json

MOST_STUDENTS = 10_000
"""The largest number of students that a search may choose from."""

Value = bool | int | float | str | None
Values = tuple[Value | tuple[Value, ...], ...]
Family = dict[str, Value | Values]
"""Keys of a student, each with its value or a list of values to try."""

Families = dict[str, dict[str, tuple[Any, ...]]]
"""Every value of every key of a student, by family."""


class LatencyConfig(Section):
    """The time of one image, which is measured before a student is trained."""

    limit_ms: PositiveFloat | None = Field(
        None,
        description="time of an image that nine of ten passes keep; a student whose median pass "
        "takes longer is not trained; null: no limit",
        json_schema_extra={"unit": "ms"},
    )
    size: tuple[Count, Count] | None = Field(
        None,
        description="height and width of the image that is timed; null: data.crop",
        json_schema_extra={"unit": "px"},
    )
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="device that is timed; auto: a GPU if there is one"
    )
    threads: Count = Field(1, description="number of torch threads while a CPU is timed")
    passes: int = Field(
        20,
        ge=5,
        description="number of timed passes of each student, in turns with the others",
        json_schema_extra={"unit": "passes"},
    )


class TrialsConfig(Section):
    """How students are chosen, trained and stopped."""

    trials: Count = Field(
        24,
        description="number of students to train; those that are too slow are only timed, at most "
        "20 times as many",
        json_schema_extra={"unit": "trials"},
    )
    sampler: Literal["random", "tpe"] = Field(
        "tpe",
        description="how students are chosen: random; tpe: near those of the front so far that "
        "keep the limit",
    )
    parallel: Count = Field(
        4,
        description="number of students that are chosen, timed and trained at once, before the "
        "score of any of them is known",
        json_schema_extra={"unit": "trials"},
    )
    cohort: Count = Field(
        4,
        description="number of students that share the teacher's forward and are in memory "
        "together; with fewer than parallel, cohorts can be trained at the same time",
        json_schema_extra={"unit": "students"},
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
        description="share of the training split on which students are scored instead of trained",
    )
    pruning: PruningConfig | None = Field(
        PruningConfig(),
        description="stop a student that falls behind earlier ones that are no slower (rungs, "
        "factor); null: never",
    )
    seed: int = Field(
        0, description="seed of the sampler and of the trials' data and initial weights"
    )


class StudentSearchConfig(Section):
    """Everything that defines a search of students, except where it is written."""

    data: Tree = Field(description="the section data that all runs share; the search sets its seed")
    teacher: Tree = Field(description="the section teacher of a run file, with its weights")
    students: dict[str, Family] | None = Field(
        None,
        description="families of students by name, that of a network unless they have a key "
        "network: keys of the student, each with a value or a list of values to try; null: light "
        "heads on light backbones, and the real-time networks in every size",
    )
    distill: tuple[Tree, ...] = Field(
        ({"loss": "pixelwise_kl"},), description="distillation terms, as in a run file"
    )
    training: Tree = Field(
        description="the section training that all runs share; the search sets its seed"
    )
    evaluation: Tree = Field({}, description="the section evaluation of the final runs")
    latency: LatencyConfig = Field(
        LatencyConfig(), description="the time of one image, measured before any training"
    )
    search: TrialsConfig = Field(
        TrialsConfig(), description="how students are chosen, trained and stopped"
    )
    seeds: tuple[int, ...] = Field(
        (0, 1, 2),
        description="seeds with which the chosen student is trained again: their number, or a "
        "list of them",
    )
    engine: EngineConfig = Field(
        EngineConfig(), description="where cohorts run; nothing here changes a result"
    )
    trust: tuple[str, ...] = Field((), exclude=True, description=TRUST)

    def tree(self) -> Tree:
        """Return the search as it would stand in YAML, with every default and every student."""
        tree: Tree = self.model_dump(mode="json")
        return tree | {"students": load_json(json.dumps(self.families))}

    def hash(self) -> str:
        """Return 12 hexadecimal digits that depend on everything that can change a run."""
        tree = {key: own for key, own in self.tree().items() if key != "engine"}
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def families(self) -> Families:
        """The values of every key that is tried or fixed, by family."""
        given: Mapping[str, Mapping[str, Any]] = self.students or STUDENTS
        return {
            name: {key: _listed(values) for key, values in {"network": name, **family}.items()}
            for name, family in given.items()
        }


def _listed(values: Any) -> tuple[Any, ...]:
    """Return values as JSON has them, also if there is only one."""
    listed = values if isinstance(values, tuple) else (values,)
    return tuple(list(value) if isinstance(value, tuple) else value for value in listed)


def count_students(families: Families) -> int:
    """Return how many students a space has."""
    return sum(math.prod(map(len, family.values())) for family in families.values())


def all_students(families: Families) -> Iterator[tuple[str, Tree]]:
    """Yield every student of a space: its family, and its section."""
    for name, family in families.items():
        for cell in itertools.product(*family.values()):
            yield name, dict(zip(family, cell, strict=True))


def check_search(tree: Mapping[str, Any]) -> StudentSearchConfig:
    """Check a search file's tree, including the run sections and the students in it.

    Raises:
        ConfigError: an unknown key, a missing one, or a value that its key does not accept.
    """
    tree = dict(tree)
    seeds = tree.get("seeds")
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        tree["seeds"] = range(min(seeds, MOST_SEEDS + 1))
    search: StudentSearchConfig = validate(StudentSearchConfig, tree)
    check_named(DataConfig, search.data, "data")
    validate(TrainingConfig, search.training, "training")
    validate(EvaluationConfig, search.evaluation, "evaluation")
    if "network" in search.teacher or "weights" not in search.teacher:
        check_named(NetworkConfig, search.teacher, "teacher")
    for index, term in enumerate(search.distill):
        check_named(LossConfig, term, f"distill.{index}")
    _check_students(search)
    if not search.seeds or len(set(search.seeds)) < len(search.seeds):
        raise ConfigError(f"seeds: expected distinct seeds, got {list(search.seeds)}")
    if len(search.seeds) > MOST_SEEDS:
        raise ConfigError(f"seeds: expected at most {MOST_SEEDS}, got {len(search.seeds)}")
    if search.engine.memory_mib is not None:
        raise ConfigError(
            "engine.memory_mib: expected null, because search.cohort says how many students "
            f"are in memory, got {search.engine.memory_mib:g}; set search.cohort"
        )
    trained = f"{search.data.get('train_split', 'train')}{SIGN}holdout"
    scored = search.evaluation.get("split", "val")
    if shared_splits(trained, scored):
        raise ConfigError(
            "evaluation.split: expected a split on which students are not chosen, got "
            f"{scored!r}, of which search.holdout is a part; choose another split"
        )
    return search


def _check_students(search: StudentSearchConfig) -> None:
    """Check every value of every key, beside the first values of the others."""
    if search.students is not None and not search.students:
        raise ConfigError("students: expected at least one family, got none")
    families = search.families
    for name, family in families.items():
        check_name(name, "students")
        for key, values in family.items():
            if not values or len(set(map(repr, values))) < len(values):
                raise ConfigError(
                    f"students.{name}.{key}: expected distinct values to try, got {list(values)}"
                )
    count = count_students(families)
    if count > MOST_STUDENTS:
        raise ConfigError(
            f"students: expected at most {MOST_STUDENTS:,} students to choose from, got "
            f"{count:,}; list fewer values"
        )
    for name, family in families.items():
        first = {key: values[0] for key, values in family.items()}
        for key, values in family.items():
            for value in values:
                check_named(NetworkConfig, {**first, key: value}, f"students.{name}")
