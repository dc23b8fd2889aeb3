"""A study folder: its file, its plan, its choices, and where its runs are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segdistill.files import inside
from segdistill.runs.documents import (
    check_format,
    check_record,
    read_document,
    read_tree,
    read_yaml,
    write_document,
    write_tree,
    write_yaml,
)
from segdistill.runs.layout import (
    CHOSEN,
    FINAL,
    MEASURED,
    OWN_TEACHERS,
    PLAN,
    REPEAT,
    SEARCH,
    SEED,
    STUDY,
    STUDY_RESULTS,
    SUGGESTED,
    TRIAL,
)


@dataclass(frozen=True)
class PlannedRun:
    """A run of the plan; its hash is None where its settings depend on results."""

    folder: str
    config_hash: str | None = None
    steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedCohort:
    """A cohort of the plan.

    Attributes:
        id: unique in the study.
        stage: ``search`` or ``final``.
        pair: of teacher and student.
        learners: its runs, by method.
        seconds: that it is expected to take, without scoring.
        round: number of the trials, in the search.
        seed: of the final runs.
        repeat: of the search, 0 for the first.
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
    """What a plan is expected to take, in seconds, and what is counted."""

    search_seconds: float
    final_seconds: float
    apart_seconds: float
    counts: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``plan.json``: every cohort that a study will train.

    Attributes:
        hash: of the study.
        jobs: the cohorts.
        estimate: what they are expected to take.
    """

    hash: str
    jobs: tuple[PlannedCohort, ...]
    estimate: Estimate | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True)
class Choice:
    """The best trial of a method: its number, values and score; or why there is none.

    Attributes:
        repeats: those of the searches after the first, where there are several.
    """

    trial: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    miou: float | None = None
    error: str | None = None
    repeats: tuple[Choice, ...] = ()

    def of(self, repeat: int) -> Choice:
        """Return what one of the searches chose, the first being number 0."""
        return self if repeat == 0 else self.repeats[repeat - 1]

    @property
    def searches(self) -> tuple[Choice, ...]:
        """What every search chose."""
        return (self, *self.repeats)


@dataclass(frozen=True)
class LearnerCost:
    """What a learner costs beside batch and teacher.

    Attributes:
        seconds: of its own step.
        kept_mib: memory that it holds between steps; None where the system does not tell.
        peak_mib: memory that it takes during its step, ``kept_mib`` and teacher included.
        prepare_seconds: of its whole stage before training, 0 where it has none.
        teacher_seconds: of its own teacher's forward, None where it has that of the pair.
    """

    seconds: float
    kept_mib: float | None
    peak_mib: float | None
    prepare_seconds: float = 0.0
    teacher_seconds: float | None = None


@dataclass(frozen=True)
class CohortCost:
    """What the parts of a cohort cost, measured on a few steps.

    Attributes:
        batch_seconds: waiting for a batch.
        teacher_seconds: the teacher's forward, 0 where nobody asks for it.
        learners: by name.
        free_mib: memory that is left with teacher and data loaded.
        devices: of that kind on the machine, each with memory of its own.
    """

    batch_seconds: float
    teacher_seconds: float
    learners: Mapping[str, LearnerCost]
    free_mib: float | None
    devices: int = 1

    def alone(self, learner: str, *, distils: bool) -> float:
        """Return the seconds of a step of one learner without the cohort."""
        teacher = self.teaching(learner) if distils else 0.0
        return self.batch_seconds + teacher + self.learners[learner].seconds

    def teaching(self, learner: str) -> float:
        """Return the seconds of the forward of a learner's teacher."""
        own = self.learners[learner].teacher_seconds
        return self.teacher_seconds if own is None else own


@dataclass(frozen=True)
class FinalRun:
    """Where the run of a method and a seed is, in the comparison."""

    pair: str
    seed: int
    method: str
    folder: Path


def is_study(folder: Path) -> bool:
    """Return whether a folder is that of a study."""
    return (folder / STUDY).is_file()


def has_begun(study: Path) -> bool:
    """Return whether a study has begun to train."""
    return any((study / stage).exists() for stage in (SEARCH, FINAL))


def write_study(study: Path, tree: Mapping[str, Any]) -> None:
    """Write ``study.yaml``: the study file with every default written out."""
    write_yaml(study / STUDY, tree)


def read_study_settings(study: Path) -> dict[str, Any]:
    """Read ``study.yaml``; raises :class:`RunFolderError` where it is missing or broken."""
    return read_yaml(study / STUDY)


def read_study_text(study: Path) -> str:
    """Return ``study.yaml`` as it is, to be shown; empty where there is none."""
    file = study / STUDY
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def write_plan(study: Path, plan: Plan) -> None:
    """Write ``plan.json``."""
    write_document(study / PLAN, plan)


def read_plan(study: Path) -> Plan:
    """Read ``plan.json``; raises :class:`RunFolderError` where it is missing or broken."""
    return read_document(study / PLAN, Plan)


def plan_file(study: Path) -> Path:
    """Return the file of the plan."""
    return study / PLAN


def write_measured(study: Path, costs: Mapping[str, CohortCost]) -> None:
    """Write ``measured.json``: what each pair's cohort costs."""
    write_tree(study / MEASURED, {"pairs": {pair: asdict(cost) for pair, cost in costs.items()}})


def read_measured(study: Path) -> dict[str, CohortCost]:
    """Read ``measured.json``, empty where there is none; raises as :func:`read_plan`."""
    file = study / MEASURED
    return _read_pairs(file, dict[str, CohortCost]) if file.exists() else {}


def remove_measured(study: Path) -> None:
    """Delete ``measured.json``: what was measured for another study."""
    (study / MEASURED).unlink(missing_ok=True)


def write_chosen(study: Path, chosen: Mapping[str, Mapping[str, Choice]]) -> None:
    """Write ``chosen.json``: each method's best trial, by pair."""
    pairs = {
        pair: {method: asdict(choice) for method, choice in own.items()}
        for pair, own in chosen.items()
    }
    write_tree(study / CHOSEN, {"pairs": pairs})


def read_chosen(study: Path) -> dict[str, dict[str, Choice]]:
    """Read ``chosen.json``, empty where there is none; raises as :func:`read_plan`."""
    file = study / CHOSEN
    return _read_pairs(file, dict[str, dict[str, Choice]]) if file.exists() else {}


def write_study_results(study: Path, results: Mapping[str, Any]) -> None:
    """Write ``results.json``: what the study says in numbers."""
    write_tree(study / STUDY_RESULTS, results)


def read_study_results(study: Path) -> dict[str, Any]:
    """Read ``results.json``, empty where the study has not ended; raises as :func:`read_plan`."""
    file = study / STUDY_RESULTS
    return read_tree(file) if file.exists() else {}


def trial_folder(pair: str, number: int, repeat: int = 0) -> str:
    """Return the folder of the trials of one number, from the study's."""
    search = f"{SEARCH}/{pair}" + (f"/{REPEAT}{repeat}" if repeat else "")
    return f"{search}/{TRIAL}{number}"


def write_suggested(
    study: Path, pair: str, number: int, params: Mapping[str, Any], *, repeat: int = 0
) -> None:
    """Write ``suggested.json``: the values that the trials of one number try, by method."""
    folder = inside(study, trial_folder(pair, number, repeat))
    folder.mkdir(parents=True, exist_ok=True)
    write_tree(folder / SUGGESTED, {"methods": dict(params)})


def read_suggested(
    study: Path, pair: str, number: int, *, repeat: int = 0
) -> dict[str, dict[str, Any]]:
    """Read ``suggested.json``; raises :class:`RunFolderError` where it is missing or broken."""
    file = study / trial_folder(pair, number, repeat) / SUGGESTED
    tree = read_tree(file)
    methods: dict[str, dict[str, Any]] = check_record(
        file,
        dict[str, dict[str, Any]],
        tree.get("methods", {}) if check_format(file, tree) else tree,
    )
    return methods


def seed_folder(pair: str, seed: int) -> str:
    """Return the folder of the final runs of one seed, from the study's."""
    return f"{FINAL}/{pair}/{SEED}{seed}"


def final_folder(study: Path, pair: str, seed: int, method: str) -> Path:
    """Return the folder of one final run."""
    return study / seed_folder(pair, seed) / method


def own_teacher_folder(study: Path, pair: str) -> Path:
    """Return the folder of the run whose student teaches control ``self_distillation``."""
    return inside(study, f"{OWN_TEACHERS}/{pair}")


def find_final_runs(study: Path) -> Iterator[FinalRun]:
    """Yield the final runs that are there, finished or not: by pair, seed and method."""
    folders = (study / FINAL).glob(f"*/{SEED}*/*")
    runs = [
        FinalRun(run.parents[1].name, int(number), run.name, run)
        for run in folders
        if run.is_dir() and (number := run.parent.name.removeprefix(SEED)).isdigit()
    ]
    yield from sorted(runs, key=lambda run: (run.pair, run.seed, run.method))


def _read_pairs(file: Path, kind: type[Any]) -> Any:
    """Read what is kept by pair; format 0 had the pairs themselves at the top."""
    tree = read_tree(file)
    return check_record(file, kind, tree.get("pairs", {}) if check_format(file, tree) else tree)
