"""Checks of a finished study: its runs are the planned ones, with the recorded settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from segdistill.config import RunConfig
from segdistill.runs.environment import read_environment
from segdistill.runs.extensions import find_superseded, read_extensions
from segdistill.runs.layout import ENVIRONMENT, FAILED, RESULT
from segdistill.runs.measured import read_measured
from segdistill.runs.plan import read_plan
from segdistill.runs.result import find_end, has_result, read_result
from segdistill.runs.search import read_chosen
from segdistill.runs.student import read_student, student_file
from segdistill.runs.study import final_folder
from segdistill.studies.cohorts import matched_steps
from segdistill.studies.evidence import Evidence, changed_paths, choice_of
from segdistill.studies.runs import base_config, final_config, own_teacher_config

_MACHINE = ("python", "platform", "processor", "gpu", "threads", "packages")


def check_runs(evidence: Evidence) -> Iterator[str]:
    """Every planned final run has ended, and there are no others."""
    study = evidence.study
    planned = {(p, s, m) for p in study.pairs for s in study.seeds for m in study.methods}
    chosen = read_chosen(evidence.folder)
    known = {(run.pair, run.seed, run.method): run.folder for run in evidence.finals}
    for pair, seed, method in sorted(planned):
        run = final_folder(evidence.folder, pair, seed, method)
        choice = chosen.get(pair, {}).get(method)
        if choice is not None and choice_of(choice, evidence.searches[seed]).error is not None:
            continue
        if find_end(run) is None:
            yield f"{evidence.name(run)}: expected a run that has ended, got none"
    for key in sorted(known.keys() - planned):
        yield f"{evidence.name(known[key])}: expected the runs of the study file, got one more"
    for run in known.values():
        if has_result(run) and (run / FAILED).exists():
            yield f"{evidence.name(run)}: expected either a result or a failure, got both"


def check_hashes(evidence: Evidence) -> Iterator[str]:
    """Result, environment, student and settings of a run belong together."""
    for run, config in evidence.settings.items():
        name = evidence.name(run)
        if isinstance(config, str):
            yield f"{name}: expected valid settings, got: {config}"
            continue
        own = config.hash()
        hashes = {ENVIRONMENT: read_environment(run).config_hash}
        if has_result(run):
            hashes[RESULT] = read_result(run).config_hash
        if student_file(run).exists():
            hashes["the student"] = read_student(student_file(run)).config_hash
        for file, stored in hashes.items():
            if stored not in (None, own):
                yield f"{name}: expected the config hash {own} in {file}, got {stored}"
    plan, study = read_plan(evidence.folder).hash, evidence.study.hash()
    if plan != study:
        yield f"plan.json: expected the hash {study} of study.yaml, got {plan}"


def check_settings(evidence: Evidence) -> Iterator[str]:
    """A final run has the settings of the study file, the chosen values and its own seed."""
    study, chosen = evidence.study, read_chosen(evidence.folder)
    measured = read_measured(evidence.folder)
    for run in evidence.finals:
        config, choice = evidence.settings.get(run.folder), chosen.get(run.pair, {}).get(run.method)
        if not isinstance(config, RunConfig) or choice is None or run.method not in study.methods:
            continue
        choice = choice_of(choice, evidence.searches.get(run.seed, 0))
        steps = base_config(study, run.pair, run.method).training.steps
        if run.pair in measured:
            steps = matched_steps(study, measured[run.pair], run.method, steps)
        expected = final_config(study, run.pair, run.method, choice.params, run.seed, steps=steps)
        if expected.hash() != config.hash():
            paths = ", ".join(changed_paths(expected.tree(), config.tree())) or "a setting"
            yield (
                f"{evidence.name(run.folder)}: expected the settings of the study, got other "
                f"values of {paths}"
            )


def check_own_teachers(evidence: Evidence) -> Iterator[str]:
    """The plain students that teach have the settings and a seed that the study gives them."""
    for pair, run in evidence.own_teachers.items():
        config, expected = evidence.settings[run], own_teacher_config(evidence.study, pair)
        if isinstance(config, RunConfig) and expected.hash() != config.hash():
            paths = ", ".join(changed_paths(expected.tree(), config.tree())) or "a setting"
            yield f"{evidence.name(run)}: expected the settings of the study, got others: {paths}"


def check_growth(evidence: Evidence) -> Iterator[str]:
    """Recorded extensions agree with the study file and are older than the runs they added."""
    study, seeds = evidence.study, None
    extensions = read_extensions(evidence.folder)
    for number, extension in enumerate(extensions, 1):
        line = f"extensions.jsonl, line {number}"
        if seeds is not None and extension.seeds_before != seeds:
            yield f"{line}: expected {seeds} seeds before it, got {extension.seeds_before}"
        seeds = extension.seeds_before + len(extension.seeds)
        for kind, added, known in (
            ("seeds", extension.seeds, study.seeds),
            ("methods", extension.methods, tuple(study.methods)),
            ("pairs", extension.pairs, tuple(study.pairs)),
        ):
            if not set(map(str, added)) <= set(map(str, known)):
                yield f"{line}: expected {kind} of the study file, got {list(added)}"
        for run in evidence.finals:
            new = (
                run.seed in extension.seeds
                or run.method in extension.methods
                or run.pair in extension.pairs
            )
            if new and has_result(run.folder) and _began(run.folder) < extension.time:
                yield (
                    f"{evidence.name(run.folder)}: expected a run that started after the extension "
                    f"at {extension.time}, got {_began(run.folder)}"
                )
    if seeds is not None and seeds != len(study.seeds):
        yield f"extensions.jsonl: expected the {len(study.seeds)} seeds of the study, got {seeds}"
    if sum(extension.trials for extension in extensions) >= max(1, study.search.trials):
        yield "extensions.jsonl: expected fewer trials than in the study, got as many or more"
    if find_superseded(evidence.folder) and not any(extension.trials for extension in extensions):
        yield "superseded: expected such runs only after a longer search, got no longer search"


def _began(run: Path) -> str:
    return read_environment(run).started or ""


def check_environment(evidence: Evidence) -> Iterator[str]:
    """All runs were made on the same kind of machine with the same packages."""
    runs = [*evidence.results, *(run for run in evidence.searched if has_result(run))]
    machines = {run: read_environment(run).as_dict() for run in runs}
    for key in _MACHINE:
        common = Counter(str(machine[key]) for machine in machines.values()).most_common(1)
        for run, machine in machines.items():
            if str(machine[key]) != common[0][0]:
                yield (
                    f"{evidence.name(run)}: expected {key} {common[0][0]} as in most runs, got "
                    f"{machine[key]}"
                )
