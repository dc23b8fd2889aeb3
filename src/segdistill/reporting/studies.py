"""Study folders as the report reads them: planned, tried, finished and failed runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segdistill.config import AGAIN, PLAIN
from segdistill.config.studies import searches_of
from segdistill.errors import RunFolderError
from segdistill.reporting.groups import Group, Seeds, summarize_runs
from segdistill.reporting.identity import key_of, measured
from segdistill.reporting.runs import Run, read_runs
from segdistill.runs.plan import Plan, plan_file, read_plan
from segdistill.runs.result import Result, find_end, has_result, read_failure
from segdistill.runs.search import Choice, read_chosen
from segdistill.runs.student import run_of
from segdistill.runs.study import (
    FinalRun,
    find_final_runs,
    read_study_results,
    read_study_settings,
    read_study_text,
)
from segdistill.runs.trials import Trial, read_trials
from segdistill.studies.summary import summarize


@dataclass(frozen=True)
class FailedRun:
    """A final run that ended with an error.

    Attributes:
        pair: name of the pair.
        method: its name in the study file.
        seed: seed of data and run.
        error: the error message.
        step: number of steps finished when it failed, None if an older release did not record it.
    """

    pair: str
    method: str
    seed: int
    error: str
    step: int | None


@dataclass(frozen=True)
class Study:
    """The contents of a study folder.

    Attributes:
        folder: the study folder.
        text: text of the study file.
        settings: the study file, parsed.
        pairs: names of the pairs, in the order of the plan.
        teachers: the run of each pair's teacher, if its folder exists and it was scored like the
            students.
        students: finished final runs by pair and method.
        failures: final runs that failed.
        unfinished: number of planned final runs that have not ended.
        trials: trials of the search.
        chosen: the best trial of each method, by pair.
        plan: the plan, None if it does not exist.
        results: the study's numerical results, empty until it has ended.
    """

    folder: Path
    text: str
    settings: Mapping[str, Any]
    pairs: tuple[str, ...]
    teachers: Mapping[str, Run]
    students: Mapping[str, Mapping[str, Sequence[Run]]]
    failures: tuple[FailedRun, ...]
    unfinished: int
    trials: tuple[Trial, ...]
    chosen: Mapping[str, Mapping[str, Choice]]
    plan: Plan | None
    results: Mapping[str, Any]

    @property
    def runs(self) -> list[Run]:
        """Every finished final run."""
        return [run for own in self.students.values() for runs in own.values() for run in runs]


def read_study(folder: Path) -> Study:
    """Read a study folder, finished or not.

    Args:
        folder: folder written by ``segdistill study``.

    Raises:
        RunFolderError: no final run has finished, or a file is broken.
    """
    plan = read_plan(folder) if plan_file(folder).exists() else None
    order = _order(plan)
    finals = sorted(
        find_final_runs(folder),
        key=lambda final: (
            order.get((final.pair, final.method), len(order)),
            final.method != PLAIN,
            final.method,
            final.seed,
        ),
    )
    finished = [final for final in finals if has_result(final.folder)]
    failures = tuple(_failure(final) for final in finals if find_end(final.folder) == "failed")
    if not finished:
        said = f", {len(failures)} failed, the first: {failures[0].error}" if failures else ""
        raise RunFolderError(
            f"{folder}: expected a finished final run of the study, got none{said}; "
            "let the study run, or continue with --resume"
        )
    pairs = tuple(dict.fromkeys(final.pair for final in finished))
    students, teachers = {}, {}
    for pair in pairs:
        suffix = f" ({pair})" if len(pairs) > 1 else ""
        students[pair] = _read_pair([final for final in finished if final.pair == pair], suffix)
        teacher = find_teacher([run for runs in students[pair].values() for run in runs])
        if teacher is not None:
            teachers[pair] = replace(teacher, label=f"teacher{suffix}", teacher=True)
    jobs = plan.jobs if plan is not None else ()
    planned = sum(len(job.learners) for job in jobs if job.stage == "final")
    return Study(
        folder=folder,
        text=read_study_text(folder),
        settings=read_study_settings(folder),
        pairs=pairs,
        teachers=teachers,
        students=students,
        failures=failures,
        unfinished=max(0, planned - len(finished) - len(failures)),
        trials=tuple(read_trials(folder)),
        chosen=read_chosen(folder),
        plan=plan,
        results=read_study_results(folder),
    )


def study_groups(study: Study) -> list[Group]:
    """Return a group for each method of each pair, compared with that pair's plain student.

    Here a group is a method of the study file, regardless of what the search chose for it.
    Teachers come first; a teacher that all pairs share is a single group.
    """
    several = len(study.pairs) > 1
    groups = []
    folders = {run.folder.resolve() for run in study.teachers.values()}
    if len(folders) == 1 and len(study.teachers) == len(study.pairs):
        run = replace(study.teachers[study.pairs[0]], label="teacher")
        groups.append(teacher_group(run, ""))
    else:
        groups += [
            teacher_group(run, pair if several else "") for pair, run in study.teachers.items()
        ]
    repeats = (study.settings.get("search") or {}).get("repeats", 1)
    seeds = study.settings.get("seeds") or ()
    searches = None
    if repeats > 1:
        searches = {(seed, seed): own for seed, own in searches_of(seeds, repeats).items()}
    for pair, methods in study.students.items():
        plain = PLAIN if PLAIN in methods else None
        suffix = f" ({pair})" if several else ""
        by_seed = {name: _by_seed(own) for name, own in methods.items()}
        for name, summary in summarize(by_seed, plain, searches).items():
            groups.append(
                Group(
                    label=f"{name}{suffix}",
                    name=name,
                    runs=tuple(methods[name]),
                    summary=summary,
                    panel=pair if several else "",
                    baseline=None if summary.comparison is None else f"{PLAIN}{suffix}",
                )
            )
    return groups


def _by_seed(runs: Sequence[Run]) -> dict[Seeds, list[Result]]:
    """Return results by the study's seed: that of the data, which further plain runs share."""
    found: dict[Seeds, list[Result]] = {}
    for run in runs:
        seed = run.result.data_seed
        found.setdefault((seed, seed), []).append(run.result)
    return found


def teacher_group(run: Run, panel: str) -> Group:
    """Return the group of a teacher alone."""
    return Group(run.label, "teacher", (run,), summarize_runs({"": [run]}, None)[""], panel)


def _read_pair(finals: Sequence[FinalRun], suffix: str) -> dict[str, list[Run]]:
    """Return the runs of a pair by method; further plain runs of a seed are plain's."""
    runs = {run.folder: run for run in read_runs([final.folder for final in finals])}
    methods: dict[str, list[Run]] = {}
    for final in finals:
        label = f"{final.method}, seed {final.seed}{suffix}"
        run = replace(runs[final.folder], label=label, teacher=False)
        method = PLAIN if final.method == AGAIN else final.method
        methods.setdefault(method, []).append(run)
    return methods


def find_teacher(students: Sequence[Run]) -> Run | None:
    """Return the run that the teacher's weights come from, if it was scored like the students.

    Scores on other images or at other scales are not comparable.
    """
    for run in students:
        weights = (run.settings.get("teacher") or {}).get("weights")
        if weights and has_result(run_of(Path(weights))):
            teacher = read_runs([run_of(Path(weights))])[0]
            same = key_of(measured(teacher)) == key_of(measured(run))
            return teacher if same else None
    return None


def _order(plan: Plan | None) -> dict[tuple[str, str], int]:
    """Return the position of each pair and method in the plan, the plain student first."""
    jobs = [] if plan is None else [job for job in plan.jobs if job.stage == "final"]
    known = list(dict.fromkeys((job.pair, name) for job in jobs for name in job.learners))
    pairs = list(dict.fromkeys(pair for pair, _ in known))
    known.sort(key=lambda key: (pairs.index(key[0]), key[1] != PLAIN))
    return {key: position for position, key in enumerate(known)}


def _failure(run: FinalRun) -> FailedRun:
    failure = read_failure(run.folder)
    return FailedRun(run.pair, run.method, run.seed, failure.error, failure.step)
