"""A study from its file to its last run: measure, plan, search, compare; resumable anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from segdistill.catalogue import tables
from segdistill.config import StudyConfig, check_study
from segdistill.config.identity import differing, identity_of_study, in_words
from segdistill.errors import ConfigError, RunFolderError
from segdistill.runs.checkpoint import keep_checkpoints
from segdistill.runs.identity import Identity, read_identity, write_identity
from segdistill.runs.result import find_end
from segdistill.runs.study import (
    Choice,
    CohortCost,
    has_begun,
    is_study,
    read_measured,
    read_plan,
    read_study_settings,
    read_suggested,
    remove_measured,
    write_chosen,
    write_measured,
    write_plan,
    write_study,
    write_suggested,
)
from segdistill.runs.trials import append_trial, read_trial, read_trials
from segdistill.studies.cohorts import Job, round_jobs, seed_jobs
from segdistill.studies.local import threads_of
from segdistill.studies.plan import describe, summarize
from segdistill.studies.runs import base_config
from segdistill.studies.search import check_runs, suggest_round
from segdistill.studies.trials import best_trial
from segdistill.studies.work import limit_threads
from segdistill.training.contents import contents_of
from segdistill.training.events import Note, Progress, Tell, silent
from segdistill.training.measure import measure_cohort
from segdistill.training.resume import check_contents

ENGINES = {"local": "local:run_local", "ray": "cluster:run_ray"}
"""Where cohorts run, by the name in a study file."""

_KEPT = {"search": 0, "final": 1}  # a critic is in the last checkpoint alone

Costs = Mapping[str, CohortCost]


def run_study(
    study: StudyConfig,
    out: Path,
    *,
    dry_run: bool = False,
    resume: bool = False,
    tell: Tell = silent,
) -> None:
    """Measure, plan, search and train everything that a study compares.

    Args:
        study: the checked study file.
        out: folder of the study.
        dry_run: stop when ``plan.json`` is written.
        resume: go on with a study that was interrupted; what has ended is not run again.
        tell: called with what happens.

    Raises:
        ConfigError: a run of the study cannot be made as configured.
        RunFolderError: the folder holds something else, or a study that was not to be resumed.
        KeyboardInterrupt: interrupted; it can be resumed.
        DataError, CheckpointError, TrainingDivergedError, ValueError: nothing can be trained
            as configured; found on the first steps, before the plan is written.
    """
    check_runs(study)
    _check_folder(study, out, resume=resume)
    costs = _measure(study, out, tell)
    plan = describe(study, costs)
    write_plan(out, plan)
    tell(Note(summarize(plan)))
    if dry_run:
        return
    write_identity(out, Identity(contents=_contents(study)))
    _search(study, out, costs, tell)
    chosen = choose(study, out)
    jobs = []
    for seed in study.seeds:
        for pair in study.pairs:
            params = {m: dict(c.params) for m, c in chosen[pair].items() if c.error is None}
            jobs += seed_jobs(study, pair, seed, params, costs[pair])
    for _ in _execute(jobs, study, out, "final runs", tell):
        pass


def _check_folder(study: StudyConfig, out: Path, *, resume: bool) -> None:
    """Refuse a folder that is in use."""
    begun = has_begun(out)
    if out.exists() and not is_study(out) and any(out.iterdir()):
        raise RunFolderError(f"{out}: expected a new or empty folder; choose another with --out")
    if not begun:
        return
    if read_plan(out).hash != study.hash() and not _same(study, out):
        changed = differing(_identity_in(out), identity_of_study(study))
        raise RunFolderError(
            f"{out}: expected the study of the same settings, got one of other: "
            f"{in_words(changed) or 'another plan'}; set them back, or choose another folder"
        )
    known = read_identity(out)
    if known is not None:
        check_contents(out, known.contents, _contents(study))
    if not resume:
        raise RunFolderError(
            f"{out}: expected a new folder, got a study that has begun; go on with --resume"
        )


def _contents(study: StudyConfig) -> dict[str, str]:
    """Return the SHA-256 of the files of each pair, by the key that names them."""
    method = next(method for method in study.methods if study.methods[method].distill)
    return {
        f"pairs.{pair}.{key}": digest
        for pair in study.pairs
        for key, digest in contents_of(base_config(study, pair, method)).items()
    }


def _measure(study: StudyConfig, out: Path, tell: Tell) -> Costs:
    """Return what each pair's cohort costs: measured once, and read again on a resume."""
    known = _same(study, out)
    costs = read_measured(out) if known else {}
    for pair in study.pairs:
        if pair not in costs:
            tell(Note(f"pair {pair}: measuring a few steps of each method"))
            configs = {method: base_config(study, pair, method) for method in study.methods}
            with limit_threads(threads_of(study.engine, _at_once(study))):  # as it will be trained
                costs[pair] = measure_cohort(configs)
            if not known:  # what was measured for another study is not to outlive its file
                remove_measured(out)
                out.mkdir(parents=True, exist_ok=True)
                write_study(out, study.tree())
                known = True
            write_measured(out, costs)
    write_study(out, study.tree())
    return costs


def _at_once(study: StudyConfig) -> int:
    """Return how many cohorts are trained at once on this machine."""
    return study.engine.processes if study.engine.name == "local" else 1


def _same(study: StudyConfig, out: Path) -> bool:
    """Return whether a folder holds this study, whatever its engine and wherever its files."""
    return is_study(out) and _identity_in(out) == identity_of_study(study)


def _identity_in(out: Path) -> dict[str, Any]:
    """Return the identity of the study in a folder."""
    try:
        return identity_of_study(check_study(read_study_settings(out)))
    except ConfigError as error:
        raise RunFolderError(
            f"{out}: expected a study that this release reads, got one of another: {error}; choose "
            "another folder with --out"
        ) from None


def _search(study: StudyConfig, out: Path, costs: Costs, tell: Tell) -> None:
    """Run the trials that are missing, a generation at a time."""
    search = study.search
    for start in range(0, search.trials, search.parallel):
        before = [t for t in read_trials(out) if t.trial < start]
        jobs, stop = list[Job](), min(start + search.parallel, search.trials)
        for number in range(start, stop):
            for pair in study.pairs:
                params = suggest_round(study, pair, number, before)
                write_suggested(out, pair, number, params)
                jobs += round_jobs(study, pair, number, params, costs[pair], before)
        _record(jobs, study, out)
        each = len(jobs) // (stop - start)  # as many cohorts for every number
        counted = each * start, each * search.trials
        for job in _execute(jobs, study, out, "trials", tell, counted=counted):
            _record([job], study, out)
        tell(Note(_standing(out, start, stop)))


def _record(jobs: Sequence[Job], study: StudyConfig, out: Path) -> None:
    """Write down the trials that have ended and are not in ``trials.jsonl`` yet."""
    known = {(trial.pair, trial.method, trial.trial) for trial in read_trials(out)}
    for job in jobs:
        params = read_suggested(out, job.pair, job.number)
        for method in job.configs:
            run = out / job.folder / method
            if find_end(run) and (job.pair, method, job.number) not in known:
                append_trial(out, read_trial(run, job.pair, method, job.number, params[method]))


def _standing(out: Path, start: int, stop: int) -> str:
    words = []
    for trial in read_trials(out):
        if start <= trial.trial < stop:
            score = "failed" if trial.miou is None else f"{100 * trial.miou:.1f}"
            words.append(f"{trial.method} {score}" + " (pruned)" * (trial.status == "pruned"))
    return f"trials {start} to {stop - 1}: {', '.join(words)}"


def choose(study: StudyConfig, out: Path) -> dict[str, dict[str, Choice]]:
    """Take each method's best trial and write ``chosen.json``."""
    trials = read_trials(out)
    chosen: dict[str, dict[str, Choice]] = {}
    for pair in study.pairs:
        chosen[pair] = {}
        for method in study.methods:
            own = [t for t in trials if (t.pair, t.method) == (pair, method)]
            best = best_trial(own)
            errors = [trial.error for trial in own if trial.error is not None]
            failed = bool(study.search.trials) and best is None
            if best is not None:
                chosen[pair][method] = Choice(best.trial, best.params, best.miou)
            else:
                error = (errors or ["no trial was trained to its end"])[-1]
                chosen[pair][method] = Choice(error=error if failed else None)
    write_chosen(out, chosen)
    return chosen


def _execute(
    jobs: Sequence[Job],
    study: StudyConfig,
    out: Path,
    stage: str,
    tell: Tell,
    *,
    counted: tuple[int, int] | None = None,
) -> Iterator[Job]:
    """Train what has not ended, on the engine of the study.

    Args:
        jobs: the cohorts.
        study: the study.
        out: its folder.
        stage: what progress calls them.
        tell: called with what happens.
        counted: cohorts of the stage before these, and in all; these alone by default.
    """
    open_jobs = []
    for job in jobs:
        left = {m: c for m, c in job.configs.items() if not find_end(out / job.folder / m)}
        if left:
            open_jobs.append(replace(job, configs=left))
    run = tables.load("segdistill.studies", ENGINES[study.engine.name])
    before, total = counted or (0, len(jobs))
    done = before + len(jobs) - len(open_jobs)
    for job in run(open_jobs, out, study.engine, tell=tell):
        done += 1
        for method in job.configs:  # two a run would fill a disk, and nothing resumes from them now
            keep_checkpoints(out / job.folder / method, _KEPT[job.stage])
        tell(Progress(f"study, {stage}", done, total, {}))
        yield job
