"""The results of a study: every method against the tuned plain student, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import fsum
from pathlib import Path
from statistics import fmean
from typing import Any

from segdistill.config import AGAIN, PLAIN, StudyConfig
from segdistill.config.studies import searches_of
from segdistill.runs.confusion import read_image_counts
from segdistill.runs.extensions import find_superseded, read_extensions
from segdistill.runs.measured import read_measured
from segdistill.runs.result import Failure, Result, find_end, read_failure, read_result
from segdistill.runs.search import Choice, read_chosen
from segdistill.runs.shifts import read_shifts
from segdistill.runs.study import final_folder
from segdistill.runs.trials import Trial, read_trials
from segdistill.studies.baseline import with_again
from segdistill.studies.comparison import Comparison, compare_by_seed
from segdistill.studies.regret import regret
from segdistill.studies.search import all_spaces
from segdistill.studies.summary import Summary, common_seeds, share, summarize
from segdistill.studies.variance import Variance, image_variance, median_of_searches, nested
from segdistill.studies.verdict import word

_COSTS = ("seconds", "own_seconds", "peak_memory_mib", "energy_kwh")


def summarize_study(study: StudyConfig, out: Path) -> dict[str, Any]:
    """Return all numerical results of a finished study.

    A method is compared with plain over the seeds for which both have finished; the methods of a
    pair are tested jointly, and so are the classes within a method.

    Args:
        study: the study.
        out: folder of the study.

    Returns:
        By pair and method: tuned values, scores by seed, comparison, cost and failures; and the
        cost of the cohorts compared with separate runs.
    """
    chosen, trials = read_chosen(out), read_trials(out)
    runs = {pair: _read_finals(study, out, pair) for pair in study.pairs}
    return {
        "hash": study.hash(),
        "match": study.match,
        "seeds": list(study.seeds),
        "trials": study.search.trials,
        "repeats": study.search.repeats,
        "holdout": study.search.holdout,
        "equivalence": study.equivalence,
        "extensions": [asdict(extension) for extension in read_extensions(out)],
        "replaced_runs": len(find_superseded(out)),
        "pairs": {
            pair: _pair(study, out, pair, runs[pair], chosen[pair], trials) for pair in study.pairs
        },
        "cost": _cost(out, runs),
    }


Ended = Mapping[str, Mapping[int, Result | Failure]]
"""Final runs of a pair by method and seed, without those that have not ended."""


def _read_finals(study: StudyConfig, out: Path, pair: str) -> Ended:
    ended: dict[str, dict[int, Result | Failure]] = {method: {} for method in study.methods}
    for method in study.methods:
        for seed in study.seeds:
            folder = final_folder(out, pair, seed, method)
            end = find_end(folder)
            if end == "done":
                ended[method][seed] = read_result(folder)
            elif end == "failed":
                ended[method][seed] = read_failure(folder)
    return ended


def _pair(
    study: StudyConfig,
    out: Path,
    pair: str,
    runs: Ended,
    chosen: Mapping[str, Choice],
    trials: Sequence[Trial],
) -> dict[str, Any]:
    finished = {
        method: {seed: [run] for seed, run in own.items() if isinstance(run, Result)}
        for method, own in runs.items()
    }
    repeats = study.search.repeats
    searches = searches_of(study.seeds, repeats) if repeats > 1 else None
    summaries = summarize(with_again(finished), PLAIN, searches)
    if AGAIN in finished:  # shown by itself as well
        summaries |= summarize({AGAIN: finished[AGAIN]}, None)
    methods: dict[str, dict[str, Any]] = {}
    spaces = all_spaces(study, pair)
    margin = study.equivalence / 100
    for method, summary in summaries.items():
        own = [trial for trial in trials if (trial.pair, trial.method) == (pair, method)]
        statuses, choice = [trial.status for trial in own], chosen[method]
        worth = [
            regret([trial for trial in own if trial.repeat == repeat], spaces[method])
            for repeat in range(repeats)
        ]
        failed = {seed: run for seed, run in runs[method].items() if isinstance(run, Failure)}
        methods[method] = {
            "params": dict(choice.params),
            "search_miou": choice.miou,
            "search_error": choice.error,
            "trials": {word: statuses.count(word) for word in ("done", "pruned", "failed")},
            "search_regret": worth[0] and asdict(worth[0]),
            "miou": {str(seed): score for seed, score in summary.scores.items()},
            "mean": summary.mean,
            "best_mean": summary.best_mean,
            "deviation": summary.deviation,
            "rank": summary.rank,
            "group": summary.letters,
            "against_plain": summary.comparison and _as_json(summary.comparison, margin),
            "classes": {name: _as_json(one, margin) for name, one in summary.classes.items()},
            "cost": {key: summary.mean_of(key) for key in _COSTS},
            "failed": {str(seed): failure.error for seed, failure in failed.items()},
            "chance": _chance(out, pair, method, summary, searches),
        }
        if searches is not None and summary.scores:
            methods[method]["median_of_searches"] = median_of_searches(summary.scores, searches)
            methods[method]["searches"] = [
                {"trial": one.trial, "params": dict(one.params), "miou": one.miou}
                | {"error": one.error, "regret": own_worth and asdict(own_worth)}
                for one, own_worth in zip(choice.searches, worth, strict=True)
            ]
    for column, values in _further(out, pair, finished).items():
        by_method = {
            method: {seed: fmean(own) for seed, own in seeds.items()}
            for method, seeds in with_again(values).items()
        }
        compared = compare_by_seed(
            {m: scores for m, scores in by_method.items() if m != PLAIN},
            by_method.get(PLAIN, {}),
            searches,
        )
        for method, scores in by_method.items():
            against = compared.get(method)
            methods[method].setdefault("further", {})[column] = {
                "mean": fmean(scores.values()),
                "against_plain": against and _as_json(against, margin),
            }
    shared = common_seeds({method: one.scores for method, one in summaries.items()})
    return {"seeds": shared, "methods": methods}


def _further(
    out: Path, pair: str, finished: Mapping[str, Mapping[int, list[Result]]]
) -> dict[str, dict[str, dict[int, list[float]]]]:
    """Return further scores, and mIoU under shifts, by column, method and seed."""
    columns: dict[str, dict[str, dict[int, list[float]]]] = {}
    for method, seeds in finished.items():
        for seed, (result,) in seeds.items():
            values = {"boundary IoU": result.boundary_iou, "ECE": result.calibration_error}
            shifts = read_shifts(final_folder(out, pair, seed, method))
            shifted = {name: score.miou for name, score in shifts.items()}
            for column, value in {**values, **shifted}.items():
                if value is not None:
                    columns.setdefault(column, {}).setdefault(method, {})[seed] = [value]
    return columns


def _chance(
    out: Path, pair: str, method: str, summary: Summary, searches: Mapping[int, int] | None
) -> dict[str, Any] | None:
    """Return the variance components of the difference to plain, None without a comparison."""
    if not summary.differences:
        return None
    search, seed = nested(summary.differences, searches)
    images = []
    for number in summary.differences:
        own = read_image_counts(final_folder(out, pair, number, method))
        plain = read_image_counts(final_folder(out, pair, number, PLAIN))
        if (
            own is not None
            and plain is not None
            and len(own.names) > 1
            and own.names == plain.names
        ):
            images.append(image_variance(own.counts, plain.counts))
    found = Variance(search, seed, fmean(images) if images else None)
    return {"variance": asdict(found), "shares": found.shares()}


def _cost(out: Path, runs: Mapping[str, Ended]) -> dict[str, float]:
    """Return the cost of the final cohorts, of their parts, and of separate runs."""
    measured = read_measured(out)
    costs = []
    for pair, methods in runs.items():
        folders: dict[int, dict[str, Result]] = {}
        for method, own in methods.items():
            for seed, run in own.items():
                if isinstance(run, Result):
                    folders.setdefault(seed, {})[method] = run
        costs.append(share([folders[seed] for seed in sorted(folders)], measured[pair]))
    return {
        "together_seconds": fsum(cost.together for cost in costs),
        "parts_seconds": fsum(cost.parts or 0.0 for cost in costs),
        "apart_seconds": fsum(cost.apart for cost in costs),
    }


def _as_json(comparison: Comparison, margin: float) -> dict[str, Any]:
    """Return a comparison for JSON; a number that is not finite becomes null."""
    claim = {"claimed": comparison.claims(), "verdict": word(comparison, margin=margin)}
    values = asdict(comparison) | claim
    for name in ("difference", "simultaneous"):
        values[name] = {key: _finite(value) for key, value in values[name].items()}
    return {key: _finite(value) for key, value in values.items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
