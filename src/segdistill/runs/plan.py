"""The plan of a study: ``plan.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segdistill.runs.documents import read_document, write_document
from segdistill.runs.layout import PLAN


@dataclass(frozen=True)
class PlannedRun:
    """A run of the plan; its hash is None if its settings depend on results."""

    folder: str
    config_hash: str | None = None
    steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedCohort:
    """A cohort of the plan.

    Attributes:
        id: identifier, unique in the study.
        stage: ``search`` or ``final``.
        pair: name of the pair.
        learners: its runs, by method.
        seconds: expected duration, without scoring.
        round: number of its trials, in the search.
        seed: seed of the final runs.
        repeat: number of the search, 0 for the first.
    """

    id: str
    stage: str
    pair: str
    learners: Mapping[str, PlannedRun]
    seconds: float
    round: int | None = None
    seed: int | None = None
    repeat: int = 0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The expected duration of a plan in seconds, and what is counted."""

    search_seconds: float
    final_seconds: float
    apart_seconds: float
    counts: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``plan.json``: every cohort that a study will train.

    Attributes:
        hash: hash of the study.
        jobs: the cohorts.
        estimate: their expected duration.
    """

    hash: str
    jobs: tuple[PlannedCohort, ...]
    estimate: Estimate | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return asdict(self)


def write_plan(study: Path, plan: Plan) -> None:
    """Write ``plan.json``."""
    write_document(study / PLAN, plan)


def read_plan(study: Path) -> Plan:
    """Read ``plan.json``; raises :class:`RunFolderError` if it is missing or broken."""
    return read_document(study / PLAN, Plan)


def plan_file(study: Path) -> Path:
    """Return the file of the plan."""
    return study / PLAN
