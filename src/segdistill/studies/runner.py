"""A study from its file to its last run: measure, plan, search, compare; always resumable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdistill.config import StudyConfig
from segdistill.config.identity import differing, identity_of, in_words
from segdistill.config.loading import check_tree
from segdistill.config.studies import searches_of
from segdistill.runs.extensions import read_extensions, supersede
from segdistill.runs.identity import Identity, read_identity, write_identity
from segdistill.runs.lock import hold_folder
from segdistill.runs.plan import write_plan
from segdistill.runs.settings import has_settings, read_settings
from segdistill.runs.student import student_file
from segdistill.runs.study import own_teacher_folder, write_study
from segdistill.studies.cohorts import Job, seed_jobs
from segdistill.studies.execute import execute
from segdistill.studies.folder import claim_folder, data_contents, file_contents
from segdistill.studies.local import threads_of
from segdistill.studies.measuring import measure_study, teacher_of
from segdistill.studies.plan import describe, summarize
from segdistill.studies.runs import own_teacher_config
from segdistill.studies.search import check_runs
from segdistill.studies.searching import choose, run_search
from segdistill.studies.work import limit_threads
from segdistill.training.events import Note, Tell, silent
from segdistill.training.run import run_cohort


def run_study(
    study: StudyConfig,
    out: Path,
    *,
    dry_run: bool = False,
    resume: bool = False,
    tell: Tell = silent,
) -> StudyConfig:
    """Measure, plan, search and train everything that a study compares.

    A study that has started may be extended by seeds, methods, pairs and trials; existing runs are
    not trained again unless a longer search chooses other values.

    Args:
        study: the checked study file.
        out: folder of the study.
        dry_run: stop after writing ``plan.json``.
        resume: continue an interrupted study; runs that have ended are not trained again.
        tell: called with every event.

    Returns:
        The study as stored in its folder, with additions at the end.

    Raises:
        ConfigError: a run of the study is not possible as configured.
        RunFolderError: the folder holds something else, or a study without ``resume``, or another
            process writes to it.
        KeyboardInterrupt: interrupted; it can be resumed.
        DataError, CheckpointError, TrainingDivergedError, ValueError: nothing can be trained
            as configured; raised during the first steps, before the plan is written.
    """
    check_runs(study)
    with hold_folder(out):
        study = claim_folder(study, out, resume=resume, dry_run=dry_run, tell=tell)
        return _run_study(study, out, dry_run, tell)


def _run_study(study: StudyConfig, out: Path, dry_run: bool, tell: Tell) -> StudyConfig:
    costs = measure_study(study, out, tell)
    plan = describe(study, costs)
    write_plan(out, plan)
    tell(Note(summarize(plan)))
    if dry_run:
        return study
    known = read_identity(out)
    data = data_contents(study) if known is None else known.contents
    write_identity(out, Identity(contents={**data, **file_contents(study)}))
    study = _with_own_teachers(study, out, tell)
    run_search(study, out, costs, tell)
    chosen = choose(study, out)
    jobs = []
    for seed, repeat in searches_of(study.seeds, study.search.repeats).items():
        for pair in study.pairs:
            choices = {m: choice.of(repeat) for m, choice in chosen[pair].items()}
            params = {m: dict(c.params) for m, c in choices.items() if c.error is None}
            jobs += seed_jobs(study, pair, seed, params, costs[pair])
    _supersede(jobs, out, tell)
    for _ in execute(jobs, study.engine, out, "study, final runs", tell):
        pass
    return study


def _supersede(jobs: Sequence[Job], out: Path, tell: Tell) -> None:
    """Move runs aside whose values are no longer chosen by a search that became longer."""
    if not any(extension.trials for extension in read_extensions(out)):
        return
    for job in jobs:
        for method, config in job.configs.items():
            run = out / job.folder / method
            if not has_settings(run):
                continue
            changed = differing(identity_of(check_tree(read_settings(run))), identity_of(config))
            if changed:
                moved = supersede(out, f"{job.folder}/{method}")
                tell(
                    Note(f"{run}: other values were chosen ({in_words(changed)}); moved to {moved}")
                )


def _with_own_teachers(study: StudyConfig, out: Path, tell: Tell) -> StudyConfig:
    """Train the plain students for control ``self_distillation`` and name their weights."""
    if all(teacher_of(study, method) != "own" for method in study.methods):
        return study
    pairs = {}
    for pair, networks in study.pairs.items():
        weights = networks.self_weights
        if weights is None:
            folder = own_teacher_folder(out, pair)
            tell(Note(f"pair {pair}: training the plain student for self-distillation"))
            with limit_threads(threads_of(study.engine, 1)):
                run_cohort({"": own_teacher_config(study, pair)}, folder, resume=True, tell=tell)
            weights = str(student_file(folder))
        pairs[pair] = networks.model_copy(update={"self_weights": weights})
    study = study.model_copy(update={"pairs": pairs})
    write_study(out, study.tree())
    return study
