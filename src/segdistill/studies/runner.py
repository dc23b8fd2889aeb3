"""A study from its file to its last run: measure, plan, search, compare; resumable anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from segdistill.catalogue import tables
from segdistill.catalogue.controls import CONTROLS
from segdistill.config import RunConfig, StudyConfig, check_study
from segdistill.config.identity import differing, identity_of, identity_of_study, in_words
from segdistill.config.loading import check_tree
from segdistill.config.studies import searches_of
from segdistill.errors import ConfigError, RunFolderError, SegdistillError
from segdistill.runs.analyses import remove_analyses
from segdistill.runs.checkpoint import keep_checkpoints
from segdistill.runs.extensions import Extension, append_extension, read_extensions, supersede
from segdistill.runs.identity import Identity, read_identity, write_identity
from segdistill.runs.layout import LOCK
from segdistill.runs.lock import hold_folder
from segdistill.runs.result import find_end
from segdistill.runs.settings import has_settings, read_settings
from segdistill.runs.student import student_file
from segdistill.runs.study import (
    Choice,
    CohortCost,
    find_final_runs,
    has_begun,
    is_study,
    own_teacher_folder,
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
from segdistill.runs.trials import Trial, append_trial, read_trial, read_trials
from segdistill.studies import growth
from segdistill.studies.cohorts import Job, round_jobs, seed_jobs
from segdistill.studies.growth import find_extension, in_order_of
from segdistill.studies.local import threads_of
from segdistill.studies.plan import describe, summarize
from segdistill.studies.runs import base_config, own_teacher_config
from segdistill.studies.search import check_runs, suggest_round
from segdistill.studies.trials import best_trial
from segdistill.studies.work import limit_threads
from segdistill.training.contents import contents_of
from segdistill.training.events import Note, Progress, Tell, silent
from segdistill.training.measure import measure_cohort
from segdistill.training.resume import check_contents
from segdistill.training.run import run_cohort

ENGINES = {"local": "local:run_local", "ray": "cluster:run_ray"}
"""Where cohorts run, by the name in a study file."""

_KEPT = {"search": 0, "final": 1}  # a critic is in the last checkpoint alone

Costs = dict[str, CohortCost]


def run_study(
    study: StudyConfig,
    out: Path,
    *,
    dry_run: bool = False,
    resume: bool = False,
    tell: Tell = silent,
) -> StudyConfig:
    """Measure, plan, search and train everything that a study compares.

    A study that has begun may be given more seeds, methods, pairs and trials; what is there is
    not trained again, unless a longer search chose other values.

    Args:
        study: the checked study file.
        out: folder of the study.
        dry_run: stop when ``plan.json`` is written.
        resume: go on with a study that was interrupted; what has ended is not run again.
        tell: called with what happens.

    Returns:
        The study as its folder holds it: what was added stands at the end.

    Raises:
        ConfigError: a run of the study cannot be made as configured.
        RunFolderError: the folder holds something else, or a study that was not to be resumed, or
            another process writes into it.
        KeyboardInterrupt: interrupted; it can be resumed.
        DataError, CheckpointError, TrainingDivergedError, ValueError: nothing can be trained
            as configured; found on the first steps, before the plan is written.
    """
    check_runs(study)
    with hold_folder(out):
        study = _check_folder(study, out, resume=resume, dry_run=dry_run, tell=tell)
        return _run_study(study, out, dry_run, tell)


def _run_study(study: StudyConfig, out: Path, dry_run: bool, tell: Tell) -> StudyConfig:
    costs = _measure(study, out, tell)
    plan = describe(study, costs)
    write_plan(out, plan)
    tell(Note(summarize(plan)))
    if dry_run:
        return study
    write_identity(out, Identity(contents=_contents(study)))
    study = _with_own_teachers(study, out, tell)
    _search(study, out, costs, tell)
    chosen = choose(study, out)
    jobs = []
    for seed, repeat in searches_of(study.seeds, study.search.repeats).items():
        for pair in study.pairs:
            choices = {m: choice.of(repeat) for m, choice in chosen[pair].items()}
            params = {m: dict(c.params) for m, c in choices.items() if c.error is None}
            jobs += seed_jobs(study, pair, seed, params, costs[pair])
    _supersede(jobs, out, tell)
    for _ in _execute(jobs, study, out, "final runs", tell):
        pass
    return study


def _check_folder(
    study: StudyConfig, out: Path, *, resume: bool, dry_run: bool, tell: Tell
) -> StudyConfig:
    """Refuse a folder that is in use; return the study, extended where it may be."""
    begun = has_begun(out)
    if not is_study(out) and any(entry.name != LOCK for entry in out.iterdir()):
        raise RunFolderError(f"{out}: expected a new or empty folder; choose another with --out")
    if not begun:
        return study
    before = _study_in(out)
    study = in_order_of(before, study)
    extension = None
    if read_plan(out).hash != study.hash() and not _same(study, out):
        seen = any(find_end(run.folder) == "done" for run in find_final_runs(out))
        extension = find_extension(before, study, seen=seen)
        if extension is None:
            changed = differing(identity_of_study(before), identity_of_study(study))
            raise RunFolderError(
                f"{out}: expected the study of the same settings, got one of other: "
                f"{in_words(changed) or 'another plan'}; set them back, or choose another folder "
                "(only seeds, methods, pairs and trials can be added)"
            )
    known = read_identity(out)
    if known is not None:
        check_contents(out, known.contents, _contents(study))
    if not resume:
        raise RunFolderError(
            f"{out}: expected a new folder, got a study that has begun; continue with --resume"
        )
    if extension is not None:
        if dry_run:
            raise RunFolderError(
                f"{out}: expected a new folder for --dry-run, got a study that would be extended "
                f"by {growth.in_words(extension)}; leave --dry-run out"
            )
        _extend(study, out, extension, tell)
    return study


def _extend(study: StudyConfig, out: Path, extension: Extension, tell: Tell) -> None:
    """Write down that a study grows; what was concluded from it before is made again."""
    used = {trial.data_seed for trial in read_trials(out)} & set(extension.seeds)
    if used:
        raise RunFolderError(
            f"{out}: expected seeds that the search did not use, got {min(used)}; choose another"
        )
    append_extension(out, extension)
    write_study(out, study.tree())
    remove_analyses(out)
    tell(Note(f"study: extended by {growth.in_words(extension)}; what is there is kept"))


def _supersede(jobs: Sequence[Job], out: Path, tell: Tell) -> None:
    """Move runs of values that a search no longer chooses, since it became longer, aside."""
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
                tell(Note(f"{run}: other values were chosen ({in_words(changed)}); now {moved}"))


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
        learners = costs[pair].learners if pair in costs else {}
        missing = [method for method in study.methods if method not in learners]
        if missing:
            tell(Note(f"pair {pair}: measuring a few steps of each method"))
            configs = {method: base_config(study, pair, method) for method in missing}
            with limit_threads(threads_of(study.engine, _at_once(study))):  # as it will be trained
                found = _measure_apart(study, configs)
            # Of a method that is added its own step counts; the rest was measured with the others.
            costs[pair] = replace(costs.get(pair, found), learners={**learners, **found.learners})
            if not known:  # what was measured for another study is not to outlive its file
                remove_measured(out)
                out.mkdir(parents=True, exist_ok=True)
                write_study(out, study.tree())
                known = True
            write_measured(out, costs)
    write_study(out, study.tree())
    return costs


def _measure_apart(study: StudyConfig, configs: Mapping[str, RunConfig]) -> CohortCost:
    """Measure learners with the teacher that each has, those of the pair's teacher first."""
    parts = []
    for kind in ("given", "random", "own"):
        alike = {m: c for m, c in configs.items() if _teacher(study, m) == kind}
        if alike:
            cost = measure_cohort(alike)
            own = None if kind == "given" else cost.teacher_seconds
            learners = {m: replace(c, teacher_seconds=own) for m, c in cost.learners.items()}
            parts.append(replace(cost, learners=learners))
    return replace(parts[0], learners={m: c for one in parts for m, c in one.learners.items()})


def _teacher(study: StudyConfig, method: str) -> str:
    control = study.methods[method].control
    return "given" if control is None else CONTROLS[control].teacher


def _with_own_teachers(study: StudyConfig, out: Path, tell: Tell) -> StudyConfig:
    """Train the plain students that control ``self_distillation`` learns from; name their files."""
    if all(_teacher(study, method) != "own" for method in study.methods):
        return study
    pairs = {}
    for pair, networks in study.pairs.items():
        weights = networks.self_weights
        if weights is None:
            folder = own_teacher_folder(out, pair)
            tell(Note(f"pair {pair}: training the student that teaches itself"))
            with limit_threads(threads_of(study.engine, 1)):
                run_cohort({"": own_teacher_config(study, pair)}, folder, resume=True, tell=tell)
            weights = str(student_file(folder))
        pairs[pair] = networks.model_copy(update={"self_weights": weights})
    study = study.model_copy(update={"pairs": pairs})
    write_study(out, study.tree())
    return study


def _at_once(study: StudyConfig) -> int:
    """Return how many cohorts are trained at once on this machine."""
    return study.engine.processes if study.engine.name == "local" else 1


def _same(study: StudyConfig, out: Path) -> bool:
    """Return whether a folder holds this study, whatever its engine and wherever its files."""
    return is_study(out) and identity_of_study(_study_in(out)) == identity_of_study(study)


def _study_in(out: Path) -> StudyConfig:
    """Return the study that a folder holds."""
    try:
        return check_study(read_study_settings(out))
    except ConfigError as error:
        raise RunFolderError(
            f"{out}: expected a study that this release reads, got one of another: {error}; choose "
            "another folder with --out"
        ) from None


def _search(study: StudyConfig, out: Path, costs: Costs, tell: Tell) -> None:
    """Run the trials that are missing, a generation at a time, one search after the other."""
    search = study.search
    starts = range(0, search.trials, search.parallel)
    for repeat, start in product(range(search.repeats), starts):
        before = [t for t in read_trials(out) if (t.repeat, t.trial) < (repeat, start)]
        jobs, stop = list[Job](), min(start + search.parallel, search.trials)
        for number in range(start, stop):
            for pair in study.pairs:
                params = suggest_round(study, pair, number, before, repeat=repeat)
                write_suggested(out, pair, number, params, repeat=repeat)
                jobs += round_jobs(study, pair, number, params, costs[pair], before, repeat=repeat)
        _record(jobs, study, out)
        each = len(jobs) // (stop - start)  # as many cohorts for every number
        counted = (
            each * (repeat * search.trials + start),
            each * search.repeats * search.trials,
        )
        for job in _execute(jobs, study, out, "trials", tell, counted=counted):
            _record([job], study, out)
        tell(Note(_standing(out, repeat, start, stop)))


def _record(jobs: Sequence[Job], study: StudyConfig, out: Path) -> None:
    """Write down the trials that have ended and are not in ``trials.jsonl`` yet."""
    known = {(trial.pair, trial.method, trial.repeat, trial.trial) for trial in read_trials(out)}
    for job in jobs:
        params = read_suggested(out, job.pair, job.number, repeat=job.repeat)
        for method in job.configs:
            run = out / job.folder / method
            if find_end(run) and (job.pair, method, job.repeat, job.number) not in known:
                values = params[method]
                trial = read_trial(run, job.pair, method, job.number, values, repeat=job.repeat)
                append_trial(out, trial)


def _standing(out: Path, repeat: int, start: int, stop: int) -> str:
    words = []
    for trial in read_trials(out):
        if trial.repeat == repeat and start <= trial.trial < stop:
            score = "failed" if trial.miou is None else f"{100 * trial.miou:.1f}"
            words.append(f"{trial.method} {score}" + " (pruned)" * (trial.status == "pruned"))
    search = f"search {repeat + 1}, " if repeat else ""
    return f"{search}trials {start} to {stop - 1}: {', '.join(words)}"


def choose(study: StudyConfig, out: Path) -> dict[str, dict[str, Choice]]:
    """Take the best trial of each method in each search and write ``chosen.json``."""
    trials, repeats = read_trials(out), range(study.search.repeats)
    chosen: dict[str, dict[str, Choice]] = {}
    for pair in study.pairs:
        chosen[pair] = {}
        for method in study.methods:
            own = [t for t in trials if (t.pair, t.method) == (pair, method)]
            first, *others = (
                _choose([t for t in own if t.repeat == repeat], searched=bool(study.search.trials))
                for repeat in repeats
            )
            chosen[pair][method] = replace(first, repeats=tuple(others))
    write_chosen(out, chosen)
    return chosen


def _choose(trials: Sequence[Trial], *, searched: bool) -> Choice:
    best = best_trial(trials)
    if best is not None:
        return Choice(best.trial, best.params, best.miou)
    errors = [trial.error for trial in trials if trial.error is not None]
    error = (errors or ["no trial was trained to its end"])[-1]
    return Choice(error=error if searched else None)


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

    Raises:
        SegdistillError: some runs were given up, and no method is to blame; the others ended.
    """
    open_jobs = []
    for job in jobs:
        left = {m: c for m, c in job.configs.items() if not find_end(out / job.folder / m)}
        if left:
            open_jobs.append(replace(job, configs=left))
    run = tables.load("segdistill.studies", ENGINES[study.engine.name])
    before, total = counted or (0, len(jobs))
    done = before + len(jobs) - len(open_jobs)
    given_up: dict[Path, str] = {}
    for job, left in run(open_jobs, out, study.engine, tell=tell):
        done += 1
        given_up |= {out / job.folder / method: why for method, why in left.items()}
        # Two a run would fill a disk, and nothing resumes now from those of a run that has ended.
        for method in job.configs.keys() - left.keys():
            keep_checkpoints(out / job.folder / method, _KEPT[job.stage])
        tell(Progress(f"study, {stage}", done, total, {}))
        yield job
    if given_up:
        listed = "".join(f"\n  {run_folder}: {why}" for run_folder, why in given_up.items())
        raise SegdistillError(
            f"study: expected every run to end, got {len(given_up)} of the {stage} given up, and "
            f"no method is to blame; look at the machine, then continue with --resume:{listed}"
        )
