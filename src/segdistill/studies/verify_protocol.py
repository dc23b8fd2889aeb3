"""Checks of a finished study: equal budgets, separate seeds, no choice on the reported split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product

from segdistill.config import RunConfig, StudyConfig
from segdistill.runs.result import read_result
from segdistill.runs.search import Choice, read_chosen
from segdistill.studies.evidence import Evidence
from segdistill.studies.runs import own_seed
from segdistill.studies.trials import best_trial


def check_seeds(evidence: Evidence) -> Iterator[str]:
    """Seeds match the folders, and no seed of the search or of an own teacher is compared."""
    for teacher in evidence.own_teachers.values():
        if read_result(teacher).seed in evidence.study.seeds:
            yield (
                f"{evidence.name(teacher)}: expected a seed that the comparison does not use, got "
                f"{read_result(teacher).seed}"
            )
    for run in evidence.finals:
        result = evidence.results.get(run.folder)
        expected = own_seed(run.method, run.seed), run.seed
        if result is not None and (result.seed, result.data_seed) != expected:
            yield (
                f"{evidence.name(run.folder)}: expected seed {expected[0]}, got {result.seed} and "
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


def check_budgets(evidence: Evidence) -> Iterator[str]:
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
                f"{evidence.name(run)}: expected {result.steps} steps, got {result.step}; the "
                "result must be the weights of the last step"
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
        yield f"trials.jsonl: expected trials with equal steps, got {sorted(lengths)}"


def _is_longer(study: StudyConfig, method: str) -> bool:
    """Return whether a method is the control ``longer``, whose steps ``settings`` checks."""
    return method in study.methods and study.methods[method].control == "longer"


def check_choices(evidence: Evidence) -> Iterator[str]:
    """The best trial on the held-out images was chosen, and its scores are recorded."""
    chosen = read_chosen(evidence.folder)
    repeats = range(evidence.study.search.repeats)
    for pair, method in product(evidence.study.pairs, evidence.study.methods):
        choices = chosen.get(pair, {}).get(method)
        if choices is None:
            yield f"chosen.json: expected a choice for {method}, {pair}, got none"
            continue
        if len(choices.searches) != len(repeats):
            yield (
                f"chosen.json: expected a choice for each of {len(repeats)} searches for {method}, "
                f"got {len(choices.searches)}"
            )
            continue
        for repeat in repeats:
            yield from _check_choice(evidence, pair, method, repeat, choices.of(repeat))


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


def check_split(evidence: Evidence) -> Iterator[str]:
    """No choice uses the reported split, and no reported score uses training images."""
    reported = {result.split for result in evidence.results.values()}
    if len(reported) > 1:
        yield f"final: expected one reported split, got {', '.join(sorted(reported))}"
    for run, result in evidence.results.items():
        if result.split in ("train", "holdout"):
            yield f"{evidence.name(run)}: expected the reported split, got {result.split}"
    for run in evidence.searched:
        config = evidence.settings.get(run)
        if isinstance(config, RunConfig) and (
            config.evaluation.split != "holdout" or not config.data.holdout
        ):
            yield (
                f"{evidence.name(run)}: expected a trial scored on held-out images, got "
                f"{config.evaluation.split}"
            )
