"""What a study found: every method against the tuned plain student, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from segdistill.config import PLAIN, StudyConfig
from segdistill.runs.result import find_end, read_failure, read_result
from segdistill.runs.study import final_folder, read_chosen, read_measured
from segdistill.runs.trials import Trial, read_trials
from segdistill.studies.comparison import Comparison, compare_by_seed
from segdistill.studies.statistics import ranks

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
    chosen = {
        pair: {method: asdict(choice) for method, choice in own.items()}
        for pair, own in read_chosen(out).items()
    }
    trials = read_trials(out)
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
    """Return the results and failures by method and seed."""
    found: dict[str, dict[int, dict[str, Any]]] = {method: {} for method in study.methods}
    for method in study.methods:
        for seed in study.seeds:
            run = final_folder(out, pair, seed, method)
            if find_end(run) == "done":
                found[method][seed] = read_result(run).as_dict()
            elif find_end(run) == "failed":
                found[method][seed] = asdict(read_failure(run))
    return found


def _pair(
    study: StudyConfig,
    pair: str,
    runs: Mapping[str, Mapping[int, Mapping[str, Any]]],
    chosen: Mapping[str, Mapping[str, Any]],
    trials: Sequence[Trial],
) -> dict[str, Any]:
    done = {
        method: {seed: run for seed, run in own.items() if "miou" in run}
        for method, own in runs.items()
    }
    scores = {m: {seed: run["miou"] for seed, run in own.items()} for m, own in done.items()}
    plain = scores.pop(PLAIN)
    against = compare_by_seed(scores, plain)
    # A rank needs every method at a seed; one of which nothing finished has none.
    ranked = {method: own for method, own in {PLAIN: plain, **scores}.items() if own}
    common = [seed for seed in study.seeds if all(seed in own for own in ranked.values())]
    places = ranks({m: [own[s] for s in common] for m, own in ranked.items()}) if common else {}
    methods = {}
    for method, own in runs.items():
        own_done = done[method]
        values = [run["miou"] for run in own_done.values()]
        tried = [t for t in trials if (t.pair, t.method) == (pair, method)]
        statuses = [trial.status for trial in tried]
        methods[method] = {
            "params": chosen[method]["params"],
            "search_miou": chosen[method]["miou"],
            "search_error": chosen[method]["error"],
            "trials": {word: statuses.count(word) for word in ("done", "pruned", "failed")},
            "miou": {str(seed): run["miou"] for seed, run in own_done.items()},
            "mean": fmean(values) if values else None,
            "best_mean": _mean((run.get("best") or {} for run in own_done.values()), "miou"),
            "deviation": stdev(values) if len(values) > 1 else None,
            "rank": places.get(method),
            "against_plain": _plain_values(against.get(method)),
            "classes": _classes(own_done, done[PLAIN]) if method in against else {},
            "cost": {key: _mean(own_done.values(), key) for key in _COSTS},
            "failed": {str(s): run["error"] for s, run in own.items() if "error" in run},
        }
    return {"seeds": common, "methods": methods}


def _classes(
    method: Mapping[int, Mapping[str, Any]], plain: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return each class's difference to plain, corrected by Holm over the classes."""
    seeds = [seed for seed in plain if seed in method]
    changes: dict[str, dict[int, float]] = {}
    for name in plain[seeds[0]]["iou"]:
        pairs = {s: (method[s]["iou"][name], plain[s]["iou"][name]) for s in seeds}
        if all(x is not None and y is not None for x, y in pairs.values()):
            changes[name] = {seed: x - y for seed, (x, y) in pairs.items()}
    found = compare_by_seed(changes, dict.fromkeys(seeds, 0.0))
    return {name: _plain_values(comparison) for name, comparison in found.items()}


def _cost(
    out: Path, runs: Mapping[str, Mapping[str, Mapping[int, Mapping[str, Any]]]]
) -> dict[str, float]:
    """Return what the final cohorts took, what their parts cost, and what separate runs would.

    The parts are those that were measured one by one before the study began.
    """
    measured = {pair: asdict(cost) for pair, cost in read_measured(out).items()}
    together = parts = apart = 0.0
    for pair, methods in runs.items():
        cost = measured[pair]
        seeds = sorted({seed for own in methods.values() for seed in own})
        for seed in seeds:
            found = {m: own[seed] for m, own in methods.items() if "miou" in own.get(seed, {})}
            if not found:
                continue
            # Runs of one cohort waited for the same batches and the same teacher.
            cohorts = {
                (r["batch_seconds"], r["teacher_seconds"]): r["steps"] for r in found.values()
            }
            together += sum(batch + teacher for batch, teacher in cohorts)
            together += sum(run["own_seconds"] for run in found.values())
            apart += sum(run["seconds"] for run in found.values())
            for (_, teacher), steps in cohorts.items():
                parts += steps * (cost["batch_seconds"] + cost["teacher_seconds"] * (teacher > 0))
            parts += sum(run["steps"] * cost["learners"][m]["seconds"] for m, run in found.items())
            # What comes before training is no step, and costs the same in a cohort.
            parts += sum(run.get("prepare_seconds") or 0.0 for run in found.values())
    return {"together_seconds": together, "parts_seconds": parts, "apart_seconds": apart}


def _mean(runs: Any, key: str) -> float | None:
    values = [run.get(key) for run in runs]
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _plain_values(comparison: Comparison | None) -> dict[str, Any] | None:
    """Return a comparison as JSON takes it: what is not finite becomes null."""
    if comparison is None:
        return None
    values = asdict(comparison) | {"claimed": comparison.claims()}
    values["difference"] = {key: _finite(value) for key, value in values["difference"].items()}
    return {key: _finite(value) for key, value in values.items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
