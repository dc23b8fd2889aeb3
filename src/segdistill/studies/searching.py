"""Running the search of a study: generations of trials, and the choice of the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from segdistill.config import StudyConfig
from segdistill.runs.result import find_end
from segdistill.runs.search import Choice, read_suggested, write_chosen, write_suggested
from segdistill.runs.trials import Trial, append_trial, read_trial, read_trials
from segdistill.studies.cohorts import Job, round_jobs
from segdistill.studies.execute import execute
from segdistill.studies.measuring import Costs
from segdistill.studies.search import suggest_round
from segdistill.studies.trials import best_trial
from segdistill.training.events import Note, Tell


def run_search(study: StudyConfig, out: Path, costs: Costs, tell: Tell) -> None:
    """Run the missing trials, one generation at a time and one search after the other."""
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
        cohorts = len(jobs) // (stop - start)  # the same number for every trial
        counted = (
            cohorts * (repeat * search.trials + start),
            cohorts * search.repeats * search.trials,
        )
        for job in execute(jobs, study.engine, out, "study, trials", tell, counted=counted):
            _record([job], study, out)
        tell(Note(_progress(out, repeat, start, stop)))


def _record(jobs: Sequence[Job], study: StudyConfig, out: Path) -> None:
    """Append the trials that have ended to ``trials.jsonl``, unless they are in it."""
    known = {(trial.pair, trial.method, trial.repeat, trial.trial) for trial in read_trials(out)}
    for job in jobs:
        params = read_suggested(out, job.pair, job.number, repeat=job.repeat)
        for method in job.configs:
            run = out / job.folder / method
            if find_end(run) and (job.pair, method, job.repeat, job.number) not in known:
                values = params[method]
                trial = read_trial(run, job.pair, method, job.number, values, repeat=job.repeat)
                append_trial(out, trial)


def _progress(out: Path, repeat: int, start: int, stop: int) -> str:
    """Return the scores of one generation in a sentence."""
    words = []
    for trial in read_trials(out):
        if trial.repeat == repeat and start <= trial.trial < stop:
            score = "failed" if trial.miou is None else f"{100 * trial.miou:.1f}"
            words.append(f"{trial.method} {score}" + " (pruned)" * (trial.status == "pruned"))
    search = f"search {repeat + 1}, " if repeat else ""
    return f"{search}trials {start} to {stop - 1}: {', '.join(words)}"


def choose(study: StudyConfig, out: Path) -> dict[str, dict[str, Choice]]:
    """Choose the best trial of each method in each search and write ``chosen.json``."""
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
    error = (errors or ["no trial was trained to the end"])[-1]
    return Choice(error=error if searched else None)
