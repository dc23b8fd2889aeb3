"""What the search tried: score by trial, and score against each number that was searched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from segdistill.reporting.charts import blank, ink, tidy, to_svg
from segdistill.reporting.figure import Figure
from segdistill.reporting.groups import Group, color_of_method
from segdistill.reporting.studies import Study

_LOG_FROM = 10.0  # ratio of the largest to the smallest value tried

Trials = Sequence[Mapping[str, Any]]


def trials_by_method(study: Study) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Return the trials of each pair and method, in the order of their numbers."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for trial in study.trials:
        found.setdefault((trial["pair"], trial["method"]), []).append(trial)
    return {key: sorted(trials, key=lambda one: one["trial"]) for key, trials in found.items()}


def best_trial(study: Study, pair: str, method: str) -> int | None:
    """Return the number of the trial that was chosen, None where there was no search."""
    chosen = study.chosen.get(pair, {}).get(method) or {}
    number = chosen.get("trial")
    return None if number is None else int(number)


def setting(study: Study, method: str, key: str) -> str:
    """Return what a searched setting is called: ``lr``, ``pixelwise_kl weight``."""
    parts = key.split(".")
    terms = (study.settings.get("methods") or {}).get(method) or {}
    if parts[0] == "distill" and len(parts) > 2 and parts[1].isdigit():
        distill = terms.get("distill") or []
        place = int(parts[1])
        loss = distill[place].get("loss", key) if place < len(distill) else ".".join(parts[:2])
        return f"{loss} {' '.join(parts[2:])}"
    return key.removeprefix("training.")


def search_plots(study: Study, groups: Sequence[Group]) -> list[Figure]:
    """Return a plot of score by trial for each method that was searched.

    Methods of one pair share their axes. Every trial is there: finished, pruned and failed.
    """
    found = []
    for place, ((pair, method), trials) in enumerate(trials_by_method(study).items()):
        limits = _limits([one for one in study.trials if one["pair"] == pair])
        best = best_trial(study, pair, method)
        figure, axes = blank(3.4, 2.2)
        xs = [one["trial"] for one in trials]
        _draw(axes, xs, trials, best, ink(color_of_method(method, groups)), limits)
        tops, top = [], -math.inf
        for one in trials:
            top = max(top, _score(one) if one["status"] == "done" else -math.inf)
            tops.append(top)
        axes.step(xs, tops, where="post", color="black", alpha=0.35, linewidth=0.9)
        title = f"{method}, {pair}" if len(study.pairs) > 1 else method
        tidy(axes, "mIoU, %", "trial")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        alt = f"Search of {title}: {_counted(trials)}. {_told(trials, best)}"
        found.append(Figure(title, "", to_svg(figure, f"search-{place}"), alt))
    return found


def sweep_plots(study: Study, groups: Sequence[Group]) -> dict[str, list[Figure]]:
    """Return, by method, a plot of score against each number that its trials varied.

    A sweep of one number shows the score against that number alone; in a search over several
    the others vary too, so that a plot shows where good values lie and no more.
    """
    found: dict[str, list[Figure]] = {}
    for (pair, method), trials in trials_by_method(study).items():
        limits = _limits([one for one in study.trials if one["pair"] == pair])
        best = best_trial(study, pair, method)
        title = f"{method}, {pair}" if len(study.pairs) > 1 else method
        for key in dict.fromkeys(key for one in trials for key in one["params"]):
            tried = [one for one in trials if _is_number(one["params"].get(key))]
            values = [float(one["params"][key]) for one in tried]
            if len(set(values)) < 2:
                continue
            figure, axes = blank(3.4, 2.2)
            _draw(axes, values, tried, best, ink(color_of_method(method, groups)), limits)
            if min(values) > 0 and max(values) >= _LOG_FROM * min(values):
                axes.set_xscale("log")
            called = setting(study, method, key)
            tidy(axes, "mIoU, %", called)
            name = f"sweep-{sum(map(len, found.values()))}"
            alt = (
                f"{title}: {_counted(tried)} with {called} from {min(values):.3g} to "
                f"{max(values):.3g}. {_told(tried, best)}"
            )
            found.setdefault(title, []).append(Figure(called, "", to_svg(figure, name), alt))
    return found


def _draw(
    axes: Axes,
    values: Sequence[float],
    trials: Trials,
    best: int | None,
    color: str,
    limits: tuple[float, float],
) -> None:
    """Mark each trial: solid finished, hollow pruned, a cross at the bottom failed."""
    for x, one in zip(values, trials, strict=True):
        score = _score(one)
        if one["status"] == "failed" or not math.isfinite(score):
            axes.plot([x], [limits[0]], "x", color=color, markersize=6, clip_on=False)
            continue
        face = color if one["status"] == "done" else "none"
        axes.plot([x], [score], "o", color=color, markerfacecolor=face, markersize=5)
        if one["trial"] == best:
            axes.plot([x], [score], "o", color=color, markerfacecolor="none", markersize=11)
    axes.set_ylim(*limits)


def _limits(trials: Trials) -> tuple[float, float]:
    """Return the range of the scores with some air, in percent."""
    scores = [score for one in trials if math.isfinite(score := _score(one))] or [0.0, 100.0]
    air = 0.08 * (max(scores) - min(scores)) or 1.0
    return min(scores) - air, max(scores) + air


def _score(trial: Mapping[str, Any]) -> float:
    return math.nan if trial.get("miou") is None else 100 * float(trial["miou"])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _counted(trials: Trials) -> str:
    statuses = [str(one["status"]) for one in trials]
    counts = [f"{statuses.count(s)} {s}" for s in ("done", "pruned", "failed") if s in statuses]
    return f"{len(trials)} trials, {', '.join(counts)}"


def _told(trials: Trials, best: int | None) -> str:
    chosen = next((one for one in trials if one["trial"] == best), None)
    if chosen is None:
        return "No trial was chosen."
    return f"Chosen: trial {chosen['trial']} with {_score(chosen):.1f} % mIoU."
