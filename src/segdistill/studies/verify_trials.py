"""Checks of a finished study: each line of ``trials.jsonl`` is that of a run with its settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from segdistill.config import RunConfig
from segdistill.errors import RunFolderError
from segdistill.runs.measured import read_measured
from segdistill.runs.result import find_end, read_pruned
from segdistill.runs.search import read_suggested
from segdistill.runs.trials import Trial, read_trial
from segdistill.studies.cohorts import matched_steps
from segdistill.studies.evidence import Evidence, brief, changed_paths, is_close
from segdistill.studies.runs import base_config, trial_config


def check_trials(evidence: Evidence) -> Iterator[str]:
    """Every trial has its run, which says the same and has the settings that were suggested."""
    study, measured = evidence.study, read_measured(evidence.folder)
    for trial, run in evidence.trial_runs:
        name, end = evidence.name(run), find_end(run)
        if end != trial.status:
            yield f"{name}: expected a run that is {trial.status}, got {end or 'none that ended'}"
            continue
        again = read_trial(
            run, trial.pair, trial.method, trial.trial, trial.params, repeat=trial.repeat
        )
        for path in changed_paths(asdict(again), asdict(trial)):
            yield f"trials.jsonl: expected {path} of {name}, got another"
        if end == "pruned" and not is_close(again.scores.get(str(again.step)), again.miou):
            yield f"{name}: expected the score {brief(read_pruned(run).miou)} in its log, got none"
        if trial.method not in study.methods or trial.pair not in study.pairs:
            yield f"trials.jsonl: expected pairs and methods of the study file, got {name}"
            continue
        if _suggested(evidence, trial) != dict(trial.params):
            yield f"trials.jsonl: expected the values suggested for {name}, got others"
        config = evidence.settings.get(run)
        if not isinstance(config, RunConfig):
            continue
        steps = study.search.steps or base_config(study, trial.pair, trial.method).training.steps
        if trial.pair in measured:
            steps = matched_steps(study, measured[trial.pair], trial.method, steps)
        expected = trial_config(
            study,
            trial.pair,
            trial.method,
            trial.params,
            trial.trial,
            repeat=trial.repeat,
            steps=steps,
        )
        if expected.hash() != config.hash():
            paths = ", ".join(changed_paths(expected.tree(), config.tree())) or "a setting"
            yield f"{name}: expected the settings of the trial, got other values of {paths}"


def _suggested(evidence: Evidence, trial: Trial) -> dict[str, object] | None:
    """Return the values suggested for a trial, None if the file or the method is missing."""
    try:
        values = read_suggested(evidence.folder, trial.pair, trial.trial, repeat=trial.repeat)
    except RunFolderError:
        return None
    return values.get(trial.method)
