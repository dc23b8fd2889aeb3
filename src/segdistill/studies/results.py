"""What a study found: every method against the tuned plain student, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import fsum
from pathlib import Path
from typing import Any

from segdistill.config import PLAIN, StudyConfig
from segdistill.files import read_json
from segdistill.studies.comparison import Comparison
from segdistill.studies.summary import cohort_cost, common_seeds, summarize
from segdistill.studies.trials import Trial, read_trials

_COSTS = ("seconds", "own_seconds", "peak_memory_mib", "energy_kwh")


def summarize_study(study: StudyConfig, out: Path) -> dict[str, Any]:
    """Return everything that a finished study says in numbers.

    A method is compared with plain over the seeds that both finished; p is corrected by Holm
    over the methods of a pair, and within a method over its classes.

    Args:
        study: the study file.
        out: folder of the study.

    Returns:
        By pair and method: tuned values, scores by seed, comparison, cost and failures; and what
        the cohorts cost against separate runs.
    """
    chosen = read_json(out / "chosen.json")
    trials = read_trials(out / "trials.jsonl")
    runs = {pair: _read_finals(study, out, pair) for pair in study.pairs}
    return {
        "hash": study.hash(),
        "match": study.match,
        "seeds": list(study.seeds),
        "trials": study.search.trials,
        "holdout": study.search.holdout,
        "pairs": {
            pair: _pair(study, pair, runs[pair], chosen[pair], trials) for pair in study.pairs
        },
        "cost": _cost(out, runs),
    }


def _read_finals(study: StudyConfig, out: Path, pair: str) -> dict[str, dict[int, dict[str, Any]]]:
    """Return ``result.json`` or ``failed.json`` by method and seed."""
    found: dict[str, dict[int, dict[str, Any]]] = {method: {} for method in study.methods}
    for method in study.methods:
        for seed in study.seeds:
            folder = out / "final" / pair / f"seed-{seed}" / method
            for name in ("result.json", "failed.json"):
                if (folder / name).exists():
                    found[method][seed] = read_json(folder / name)
    return found


def _pair(
    study: StudyConfig,
    pair: str,
    runs: Mapping[str, Mapping[int, Mapping[str, Any]]],
    chosen: Mapping[str, Mapping[str, Any]],
    trials: Sequence[Trial],
) -> dict[str, Any]:
    finished = {
        method: {seed: [run] for seed, run in own.items() if "miou" in run}
        for method, own in runs.items()
    }
    summaries = summarize(finished, PLAIN)
    methods = {}
    for method, summary in summaries.items():
        statuses = [one.status for one in trials if (one.pair, one.method) == (pair, method)]
        methods[method] = {
            "params": chosen[method]["params"],
            "search_miou": chosen[method]["miou"],
            "search_error": chosen[method]["error"],
            "trials": {word: statuses.count(word) for word in ("done", "pruned", "failed")},
            "miou": {str(seed): score for seed, score in summary.scores.items()},
            "mean": summary.mean,
            "best_mean": summary.best_mean,
            "deviation": summary.deviation,
            "rank": summary.rank,
            "against_plain": summary.comparison and _as_json(summary.comparison),
            "classes": {name: _as_json(one) for name, one in summary.classes.items()},
            "cost": {key: summary.mean_of(key) for key in _COSTS},
            "failed": {
                str(seed): run["error"] for seed, run in runs[method].items() if "error" in run
            },
        }
    shared = common_seeds({method: one.scores for method, one in summaries.items()})
    return {"seeds": shared, "methods": methods}


def _cost(
    out: Path, runs: Mapping[str, Mapping[str, Mapping[int, Mapping[str, Any]]]]
) -> dict[str, float]:
    """Return what the final cohorts took, what their parts cost, and what separate runs would."""
    measured = read_json(out / "measured.json")
    costs = []
    for pair, methods in runs.items():
        seeds = sorted({seed for own in methods.values() for seed in own})
        folders = [
            {method: own[seed] for method, own in methods.items() if "miou" in own.get(seed, {})}
            for seed in seeds
        ]
        costs.append(cohort_cost(folders, measured[pair]))
    return {
        "together_seconds": fsum(cost.together for cost in costs),
        "parts_seconds": fsum(cost.parts or 0.0 for cost in costs),
        "apart_seconds": fsum(cost.apart for cost in costs),
    }


def _as_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON takes it: a number that is not finite becomes null."""
    values = asdict(comparison) | {"claimed": comparison.claims()}
    values["difference"] = {key: _finite(value) for key, value in values["difference"].items()}
    return {key: _finite(value) for key, value in values.items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
