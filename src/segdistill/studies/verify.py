"""A finished study against its own files: every number again, and every rule of the protocol.

Each check reads what the runs left behind and yields a sentence for everything that does not fit.
``CHECKS`` is the table of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.config import RunConfig, StudyConfig, check_study
from segdistill.config.loading import check_tree
from segdistill.config.mistakes import validate
from segdistill.config.sections import EvaluationConfig
from segdistill.config.studies import searches_of
from segdistill.errors import ConfigError
from segdistill.runs.confusion import read_confusion, read_image_counts
from segdistill.runs.environment import read_environment
from segdistill.runs.extensions import find_superseded, read_extensions
from segdistill.runs.layout import ENVIRONMENT, FAILED, RESULT
from segdistill.runs.metrics import evaluation_lines, read_metrics
from segdistill.runs.result import Result, find_end, has_result, read_result
from segdistill.runs.settings import has_settings, read_settings
from segdistill.runs.shifts import name_of_shift, read_shifts
from segdistill.runs.student import read_student, student_file
from segdistill.runs.study import (
    Choice,
    FinalRun,
    final_folder,
    find_final_runs,
    own_teacher_folder,
    read_chosen,
    read_measured,
    read_plan,
    read_study_results,
    read_study_settings,
    trial_folder,
)
from segdistill.runs.trials import Trial, read_trials
from segdistill.studies.cohorts import matched_steps
from segdistill.studies.results import summarize_study
from segdistill.studies.runs import base_config, final_config
from segdistill.studies.trials import best_trial

_MACHINE = ("python", "platform", "processor", "gpu", "threads", "packages")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Fault:
    """Something in a study that does not fit.

    Attributes:
        check: its name in :data:`CHECKS`.
        said: where it is, what was expected and what is there.
    """

    check: str
    said: str


@dataclass(frozen=True)
class Evidence:
    """A study folder, read once."""

    folder: Path

    @cached_property
    def study(self) -> StudyConfig:
        """The study file."""
        return check_study(read_study_settings(self.folder))

    @cached_property
    def finals(self) -> list[FinalRun]:
        """Every final run that is there."""
        return list(find_final_runs(self.folder))

    @cached_property
    def results(self) -> dict[Path, Result]:
        """The results of the final runs that finished, by folder."""
        return {r.folder: read_result(r.folder) for r in self.finals if has_result(r.folder)}

    @cached_property
    def settings(self) -> dict[Path, RunConfig | str]:
        """The checked settings of final and search runs, or why they cannot be read."""
        runs = [run.folder for run in self.finals] + self.searched
        return {run: _config(run) for run in runs if has_settings(run)}

    @cached_property
    def searched(self) -> list[Path]:
        """The folders of the trials that are there."""
        folders = [
            self.folder / trial_folder(t.pair, t.trial, t.repeat) / t.method for t in self.trials
        ]
        return [folder for folder in folders if folder.is_dir()]

    @cached_property
    def trials(self) -> list[Trial]:
        """The lines of ``trials.jsonl``."""
        return read_trials(self.folder)

    @cached_property
    def searches(self) -> dict[int, int]:
        """Which search each final seed takes its values from."""
        return searches_of(self.study.seeds, self.study.search.repeats)

    def name(self, run: Path) -> str:
        """Return a run's folder from that of the study."""
        return run.relative_to(self.folder).as_posix()


def _config(run: Path) -> RunConfig | str:
    try:
        return check_tree(read_settings(run))
    except ConfigError as error:
        return str(error)


def verify_study(folder: Path) -> list[Fault]:
    """Return everything in a finished study that contradicts its own files or the protocol.

    Args:
        folder: made by ``segdistill study``.

    Raises:
        RunFolderError, ConfigError: a file is missing or broken, so that nothing can be checked.
    """
    evidence = Evidence(folder)
    return [Fault(name, said) for name, check in CHECKS.items() for said in check(evidence)]


def _check_runs(evidence: Evidence) -> Iterator[str]:
    """Every planned final run has ended, and no other is there."""
    study = evidence.study
    planned = {(p, s, m) for p in study.pairs for s in study.seeds for m in study.methods}
    chosen = read_chosen(evidence.folder)
    known = {(run.pair, run.seed, run.method): run.folder for run in evidence.finals}
    for pair, seed, method in sorted(planned):
        run = final_folder(evidence.folder, pair, seed, method)
        choice = chosen.get(pair, {}).get(method)
        if choice is not None and _of(choice, evidence.searches[seed]).error is not None:
            continue
        if find_end(run) is None:
            yield f"{evidence.name(run)}: expected a run that has ended, got none"
    for key in sorted(known.keys() - planned):
        yield f"{evidence.name(known[key])}: expected the runs of the study file, got one more"
    for run in known.values():
        if has_result(run) and (run / FAILED).exists():
            yield f"{evidence.name(run)}: expected one end, got a result and a failure"


def _check_scores(evidence: Evidence) -> Iterator[str]:
    """Scores are those of the confusion matrices."""
    for run, result in evidence.results.items():
        confusion = read_confusion(run)
        if confusion is None:
            yield f"{evidence.name(run)}: expected a confusion matrix, got none"
            continue
        counts = np.array(confusion.counts, dtype=np.int64)
        again = _scores(counts, confusion.classes)
        for key, value in again.items():
            if not _close(getattr(result, key), value):
                yield (
                    f"{evidence.name(run)}: expected {key} {_brief(value)} from the confusion "
                    f"matrix, got {_brief(getattr(result, key))}"
                )


def _check_images(evidence: Evidence) -> Iterator[str]:
    """The matrices of the images add up to that of the split, image for image the same truth."""
    first: dict[str, np.ndarray] = {}
    for run, result in evidence.results.items():
        name, confusion, images = evidence.name(run), read_confusion(run), read_image_counts(run)
        if images is None:
            yield f"{name}: expected a confusion matrix of each image, got none"
            continue
        if len(set(images.names)) < len(images.names):
            yield f"{name}: expected each image once, got one twice"
        if confusion is not None and not np.array_equal(
            images.counts.sum(axis=0), confusion.counts
        ):
            yield f"{name}: expected the images' matrices to add up to the split's, got another sum"
        if result.images is not None and result.images != len(images.names):
            yield f"{name}: expected {result.images} images, got {len(images.names)}"
        truth = dict(zip(images.names, images.counts.sum(axis=2), strict=True))
        first = first or truth
        if truth.keys() != first.keys():
            yield f"{name}: expected the images that the other runs were scored on, got others"
        elif any(not np.array_equal(truth[image], first[image]) for image in first):
            yield f"{name}: expected the labels that the other runs were scored on, got others"


def _check_copies(evidence: Evidence) -> Iterator[str]:
    """No two final runs have the same confusion matrix."""
    seen: dict[Any, Path] = {}
    for run in evidence.results:
        confusion = read_confusion(run)
        if confusion is not None:
            other = seen.setdefault(confusion.counts, run)
            if other != run:
                yield (
                    f"{evidence.name(run)}: expected a result of its own, got that of "
                    f"{evidence.name(other)}"
                )


def _check_hashes(evidence: Evidence) -> Iterator[str]:
    """Result, environment, student and settings of a run belong together."""
    for run, config in evidence.settings.items():
        name = evidence.name(run)
        if isinstance(config, str):
            yield f"{name}: expected settings that can be run, got: {config}"
            continue
        own = config.hash()
        hashes = {ENVIRONMENT: read_environment(run).config_hash}
        if has_result(run):
            hashes[RESULT] = read_result(run).config_hash
        if student_file(run).exists():
            hashes["the student"] = read_student(student_file(run)).config_hash
        for file, given in hashes.items():
            if given not in (None, own):
                yield f"{name}: expected the config hash {own} in {file}, got {given}"
    plan, study = read_plan(evidence.folder).hash, evidence.study.hash()
    if plan != study:
        yield f"plan.json: expected the hash {study} of study.yaml, got {plan}"


def _check_settings(evidence: Evidence) -> Iterator[str]:
    """A final run has the settings of the study file, the chosen values and its own seed."""
    study, chosen = evidence.study, read_chosen(evidence.folder)
    measured = read_measured(evidence.folder)
    for run in evidence.finals:
        config, choice = evidence.settings.get(run.folder), chosen.get(run.pair, {}).get(run.method)
        if not isinstance(config, RunConfig) or choice is None or run.method not in study.methods:
            continue
        choice = _of(choice, evidence.searches.get(run.seed, 0))
        steps = base_config(study, run.pair, run.method).training.steps
        if run.pair in measured:
            steps = matched_steps(study, measured[run.pair], run.method, steps)
        expected = final_config(study, run.pair, run.method, choice.params, run.seed, steps=steps)
        if expected.hash() != config.hash():
            paths = ", ".join(_changed(expected.tree(), config.tree())) or "a setting"
            yield (
                f"{evidence.name(run.folder)}: expected the settings of the study, got other "
                f"values of {paths}"
            )


def _check_seeds(evidence: Evidence) -> Iterator[str]:
    """Seeds are those of the folder; none of the search or of an own teacher is compared."""
    for pair in evidence.study.pairs:
        teacher = own_teacher_folder(evidence.folder, pair)
        if has_result(teacher) and read_result(teacher).seed in evidence.study.seeds:
            yield (
                f"{evidence.name(teacher)}: expected a seed that the comparison does not use, got "
                f"{read_result(teacher).seed}"
            )
    for run in evidence.finals:
        result = evidence.results.get(run.folder)
        if result is not None and {result.seed, result.data_seed} != {run.seed}:
            yield (
                f"{evidence.name(run.folder)}: expected seed {run.seed}, got {result.seed} and "
                f"data seed {result.data_seed}"
            )
    by_number: dict[tuple[int, int], set[int]] = {}
    for trial in evidence.trials:
        by_number.setdefault((trial.repeat, trial.trial), set()).add(trial.data_seed)
        if trial.data_seed in evidence.study.seeds:
            yield (
                f"trials.jsonl: expected seeds that the comparison does not use, got "
                f"{trial.data_seed} in trial {trial.trial} of {trial.method}"
            )
    for (repeat, number), seeds in by_number.items():
        if len(seeds) > 1:
            yield f"trials.jsonl: expected one seed in trial {number}, got {sorted(seeds)}"
        others = (own for (other, _), own in by_number.items() if other != repeat)
        shared = seeds & set().union(*others)
        if shared:
            yield (
                f"trials.jsonl: expected seeds of its own in search {repeat + 1}, got "
                f"{min(shared)} of another search"
            )


def _check_budgets(evidence: Evidence) -> Iterator[str]:
    """Every method has its trials, every run its steps, and every pair the same networks."""
    study = evidence.study
    trials = sorted((t.pair, t.method, t.repeat, t.trial) for t in evidence.trials)
    for pair, method in product(study.pairs, study.methods):
        for repeat in range(study.search.repeats):
            own = [key[3] for key in trials if key[:3] == (pair, method, repeat)]
            if own != list(range(study.search.trials)):
                yield (
                    f"trials.jsonl: expected trials 0 to {study.search.trials - 1} of {method}, "
                    f"{pair}, search {repeat + 1}, once each, got {own}"
                )
    beyond = {t.repeat for t in evidence.trials} - set(range(study.search.repeats))
    if beyond:
        yield f"trials.jsonl: expected {study.search.repeats} searches, got one more"
    for run, result in evidence.results.items():
        if result.step != result.steps:
            yield (
                f"{evidence.name(run)}: expected {result.steps} steps, got {result.step}: the "
                "weights of the last step are the result"
            )
    if study.match == "steps":
        alike = {
            run: result
            for run, result in evidence.results.items()
            if not _is_longer(study, run.name)
        }
        common = Counter(result.steps for result in alike.values()).most_common(1)
        for run, result in alike.items():
            if result.steps != common[0][0]:
                yield f"{evidence.name(run)}: expected {common[0][0]} steps, got {result.steps}"
    lengths = {t.steps for t in evidence.trials if not _is_longer(study, t.method)}
    if study.match == "steps" and len(lengths) > 1:
        yield f"trials.jsonl: expected trials of equal steps, got {sorted(lengths)}"


def _is_longer(study: StudyConfig, method: str) -> bool:
    """Return whether a method is the control that is trained longer, which ``settings`` checks."""
    return method in study.methods and study.methods[method].control == "longer"


def _check_choices(evidence: Evidence) -> Iterator[str]:
    """The best trial on the held-out images was chosen, and what was scored is on file."""
    chosen = read_chosen(evidence.folder)
    repeats = range(evidence.study.search.repeats)
    for pair, method in product(evidence.study.pairs, evidence.study.methods):
        choices = chosen.get(pair, {}).get(method)
        if choices is None:
            yield f"chosen.json: expected a choice for {method}, {pair}, got none"
            continue
        if len(choices.searches) != len(repeats):
            yield (
                f"chosen.json: expected a choice of each of {len(repeats)} searches for {method}, "
                f"got {len(choices.searches)}"
            )
            continue
        for repeat in repeats:
            yield from _check_choice(evidence, pair, method, repeat, choices.of(repeat))
    for trial in evidence.trials:
        folder = trial_folder(trial.pair, trial.trial, trial.repeat)
        run = evidence.folder / folder / trial.method
        if has_result(run) and not _close(read_result(run).miou, trial.miou):
            yield f"trials.jsonl: expected the score of {evidence.name(run)}, got another"


def _check_choice(
    evidence: Evidence, pair: str, method: str, repeat: int, choice: Choice
) -> Iterator[str]:
    own = (pair, method, repeat)
    best = best_trial([t for t in evidence.trials if (t.pair, t.method, t.repeat) == own])
    if best is None:
        return
    if choice.trial != best.trial:
        yield (
            f"chosen.json: expected trial {best.trial} of {method}, {pair}, the best on the "
            f"held-out images of search {repeat + 1}, got {choice.trial}"
        )
    elif (dict(choice.params), choice.miou) != (dict(best.params), best.miou):
        yield f"chosen.json: expected the values of trial {best.trial} of {method}, got others"


def _of(choice: Choice, repeat: int) -> Choice:
    """Return what a search chose, the first where that one is missing, which ``choices`` says."""
    return choice.of(repeat) if repeat < len(choice.searches) else choice


def _check_split(evidence: Evidence) -> Iterator[str]:
    """Nothing was chosen on the reported split, and nothing reported on training images."""
    reported = {result.split for result in evidence.results.values()}
    if len(reported) > 1:
        yield f"final: expected one reported split, got {', '.join(sorted(reported))}"
    for run, result in evidence.results.items():
        if result.split in ("train", "holdout"):
            yield f"{evidence.name(run)}: expected a score on other images, got {result.split}"
    for run in evidence.searched:
        config = evidence.settings.get(run)
        if isinstance(config, RunConfig) and (
            config.evaluation.split != "holdout" or not config.data.holdout
        ):
            yield (
                f"{evidence.name(run)}: expected a trial that is scored on held-out images, got "
                f"{config.evaluation.split}"
            )


def _check_best(evidence: Evidence) -> Iterator[str]:
    """The best score on the way is one that was logged."""
    for run, result in evidence.results.items():
        logged = {line.step: line.miou for line in evaluation_lines(read_metrics(run))}
        if result.best is not None and logged:
            top = max(logged.values())
            if not _close(result.best.miou, top) or not _close(logged.get(result.best.step), top):
                yield (
                    f"{evidence.name(run)}: expected the best score {_brief(top)} of its log, got "
                    f"{_brief(result.best.miou)}"
                )
        if result.step in logged and not _close(logged[result.step], result.miou):
            yield f"{evidence.name(run)}: expected the last score of its log, got another"


def _check_shifts(evidence: Evidence) -> Iterator[str]:
    """Every shift of the study was scored in every run, on the same labels, as its matrix says."""
    asked = validate(EvaluationConfig, evidence.study.evaluation, "evaluation").shifts
    wanted = {name_of_shift(name, one) for name, own in asked.items() for one in own}
    for run in evidence.results:
        found, confusion = read_shifts(run), read_confusion(run)
        if found.keys() != wanted:
            yield (
                f"{evidence.name(run)}: expected the shifts {sorted(wanted)}, got {sorted(found)}"
            )
        for name, score in found.items():
            counts = np.array(score.counts, dtype=np.int64)
            again = _scores(counts, range(len(counts)))["miou"]
            if not _close(score.miou, again):
                yield (
                    f"{evidence.name(run)}: expected miou {again:.6g} under {name} from its "
                    f"confusion matrix, got {score.miou:.6g}"
                )
            if confusion is not None and not np.array_equal(
                counts.sum(axis=1), np.array(confusion.counts).sum(axis=1)
            ):
                yield f"{evidence.name(run)}: expected the labels of the split under {name}"


def _check_growth(evidence: Evidence) -> Iterator[str]:
    """What was added to the study after it had begun is what its file has more, and is younger."""
    study, seeds = evidence.study, None
    extensions = read_extensions(evidence.folder)
    for number, one in enumerate(extensions, 1):
        place = f"extensions.jsonl, line {number}"
        if seeds is not None and one.seeds_before != seeds:
            yield f"{place}: expected {seeds} seeds before it, got {one.seeds_before}"
        seeds = one.seeds_before + len(one.seeds)
        for kind, added, known in (
            ("seeds", one.seeds, study.seeds),
            ("methods", one.methods, tuple(study.methods)),
            ("pairs", one.pairs, tuple(study.pairs)),
        ):
            if not set(map(str, added)) <= set(map(str, known)):
                yield f"{place}: expected {kind} of the study file, got {list(added)}"
        for run in evidence.finals:
            new = run.seed in one.seeds or run.method in one.methods or run.pair in one.pairs
            if new and has_result(run.folder) and _began(run.folder) < one.time:
                yield (
                    f"{evidence.name(run.folder)}: expected a run that began after the study was "
                    f"extended by it, {one.time}, got {_began(run.folder)}"
                )
    if seeds is not None and seeds != len(study.seeds):
        yield f"extensions.jsonl: expected the {len(study.seeds)} seeds of the study, got {seeds}"
    if sum(one.trials for one in extensions) >= max(1, study.search.trials):
        yield "extensions.jsonl: expected fewer trials than the study has, got as many or more"
    if find_superseded(evidence.folder) and not any(one.trials for one in extensions):
        yield "superseded: expected runs that a longer search replaced, got no longer search"


def _began(run: Path) -> str:
    return read_environment(run).started or ""


def _check_environment(evidence: Evidence) -> Iterator[str]:
    """All runs were made on one kind of machine with the same packages."""
    runs = [*evidence.results, *(run for run in evidence.searched if has_result(run))]
    machines = {run: read_environment(run).as_dict() for run in runs}
    for key in _MACHINE:
        common = Counter(str(found[key]) for found in machines.values()).most_common(1)
        for run, found in machines.items():
            if str(found[key]) != common[0][0]:
                yield (
                    f"{evidence.name(run)}: expected {key} {common[0][0]} as in most runs, got "
                    f"{found[key]}"
                )


def _check_results(evidence: Evidence) -> Iterator[str]:
    """``results.json`` says what the runs say."""
    given = read_study_results(evidence.folder)
    if not given:
        yield "results.json: expected the results of a study that has ended, got none"
        return
    again = summarize_study(evidence.study, evidence.folder)
    for path in _changed(again, given):
        yield f"results.json: expected another value of {path}, recomputed from the runs"


Check = Callable[[Evidence], Iterator[str]]

CHECKS: Mapping[str, Check] = {
    "runs": _check_runs,
    "scores": _check_scores,
    "images": _check_images,
    "copies": _check_copies,
    "hashes": _check_hashes,
    "settings": _check_settings,
    "seeds": _check_seeds,
    "budgets": _check_budgets,
    "choices": _check_choices,
    "split": _check_split,
    "best": _check_best,
    "growth": _check_growth,
    "shifts": _check_shifts,
    "environment": _check_environment,
    "results": _check_results,
}
"""What is checked, by the name that a fault carries."""


def _scores(counts: np.ndarray, classes: Sequence[Any]) -> dict[str, Any]:
    """Return the scores of a confusion matrix, by the names that a result has for them."""
    hits, truth = np.diagonal(counts).astype(float), counts.sum(axis=1)
    unions = truth + counts.sum(axis=0) - np.diagonal(counts)
    iou = [hit / union if union else None for hit, union in zip(hits, unions, strict=True)]
    known = [value for value in iou if value is not None]
    true = [value or 0.0 for value, count in zip(iou, truth, strict=True) if count]
    return {
        "miou": math.fsum(known) / len(known),
        "miou_ground_truth_classes": math.fsum(true) / len(true),
        "pixel_accuracy": float(hits.sum() / counts.sum()),
        "pixels": int(counts.sum()),
        "iou": dict(zip(classes, iou, strict=True)),
    }


def _close(value: Any, expected: Any) -> bool:
    if isinstance(value, Mapping) and isinstance(expected, Mapping):
        same = value.keys() == expected.keys()
        return same and all(_close(value[key], expected[key]) for key in expected)
    if isinstance(value, float) and isinstance(expected, float | int):
        return math.isclose(value, expected, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return bool(value == expected)


def _changed(expected: Any, given: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value that is another one."""
    if isinstance(expected, Mapping) and isinstance(given, Mapping):
        for key in expected.keys() & given.keys():
            yield from _changed(expected[key], given[key], f"{path}.{key}".lstrip("."))
        missing = (expected.keys() - given.keys()) - {"format"}
        yield from sorted(f"{path}.{key}".lstrip(".") for key in missing)
    elif isinstance(expected, list | tuple) and isinstance(given, list | tuple):
        if len(expected) != len(given):
            yield path
            return
        for place, (one, other) in enumerate(zip(expected, given, strict=True)):
            yield from _changed(one, other, f"{path}.{place}")
    elif not _close(given, expected):
        yield path


def _brief(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
