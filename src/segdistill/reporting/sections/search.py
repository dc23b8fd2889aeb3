"""Search: score by trial, and score against each searched number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from segdistill.drawing.figure import Figure
from segdistill.drawing.svg import blank, ink, log_across, tidy, to_svg
from segdistill.reporting.groups import Group, color_of_method
from segdistill.reporting.material import Material
from segdistill.reporting.studies import Study
from segdistill.runs.trials import Trial

_LOG_FROM = 10.0  # ratio of the largest to the smallest value tried
_WIDTH = 3.7  # width in inches of a chart that shares its row with others
_HEIGHT = 2.5


def show(material: Material) -> Mapping[str, Any] | None:
    """Return plots and tables of the trials, None if nothing was searched."""
    study = material.study
    if study is None or not study.trials:
        return None
    return {
        "chosen": chosen_settings(study),
        "short": short_ranges(study),
        "figures": search_plots(study, material.groups),
        "sweeps": sweep_plots(study, material.groups),
        "trials": trial_rows(study),
        "several_pairs": len(study.pairs) > 1,
    }


def chosen_settings(study: Study) -> list[dict[str, Any]]:
    """Return the choices of the search for each method of each pair."""
    return [
        {
            "pair": pair,
            "method": method,
            "params": _in_words(study, method, choice.params),
            "trial": choice.trial,
            "miou": choice.miou,
            "gain": _regret(study, pair, method).get("gain"),
        }
        for pair, methods in study.chosen.items()
        for method, choice in methods.items()
    ]


def short_ranges(study: Study) -> list[str]:
    """Return a sentence for each setting whose best value is at an end of its range."""
    several = len(study.pairs) > 1
    return [
        f"{method}{f', {pair}' if several else ''}: the best {setting(study, method, path)} lies "
        f"at the {end} end of what was searched: the range is too short."
        for pair, methods in study.chosen.items()
        for method in methods
        for path, end in (_regret(study, pair, method).get("ends") or {}).items()
    ]


def _regret(study: Study, pair: str, method: str) -> Mapping[str, Any]:
    """Return the study's record about a method's search, empty until the study has ended."""
    methods = study.results.get("pairs", {}).get(pair, {}).get("methods", {})
    return methods.get(method, {}).get("search_regret") or {}


def trial_rows(study: Study) -> list[dict[str, Any]]:
    """Return a row per trial, with a description of its settings."""
    return [
        {
            "trial": trial,
            "params": _in_words(study, trial.method, trial.params),
            "chosen": best_trial(study, trial.pair, trial.method, trial.repeat) == trial.trial,
            "search": trial.repeat + 1 if searches_in(study) > 1 else None,
        }
        for trial in study.trials
    ]


def _in_words(study: Study, method: str, params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{setting(study, method, key)} {f'{value:.4g}' if isinstance(value, float) else value}"
        for key, value in params.items()
    )


def searches_in(study: Study) -> int:
    """Return the number of searches per method."""
    return 1 + max((trial.repeat for trial in study.trials), default=0)


def trials_by_method(study: Study) -> dict[tuple[str, str, int], list[Trial]]:
    """Return the trials of each pair, method and search, in the order of their numbers."""
    by_method: dict[tuple[str, str, int], list[Trial]] = {}
    for trial in study.trials:
        by_method.setdefault((trial.pair, trial.method, trial.repeat), []).append(trial)
    return {key: sorted(trials, key=lambda trial: trial.trial) for key, trials in by_method.items()}


def best_trial(study: Study, pair: str, method: str, repeat: int) -> int | None:
    """Return the number of the trial that a search chose, None without a search."""
    choice = study.chosen.get(pair, {}).get(method)
    if choice is None or repeat >= len(choice.searches):
        return None
    return choice.of(repeat).trial


def setting(study: Study, method: str, key: str) -> str:
    """Return the name of a searched setting: ``lr``, ``pixelwise_kl weight``."""
    parts = key.split(".")
    terms = (study.settings.get("methods") or {}).get(method) or {}
    if parts[0] == "distill" and len(parts) > 2 and parts[1].isdigit():
        distill = terms.get("distill") or []
        number = int(parts[1])
        loss = distill[number].get("loss", key) if number < len(distill) else ".".join(parts[:2])
        return f"{loss} {' '.join(parts[2:])}"
    return key.removeprefix("training.")


def search_plots(study: Study, groups: Sequence[Group]) -> list[Figure]:
    """Return a plot of score by trial for each method that was searched.

    Methods of a pair share their axes. All trials are shown: finished, pruned and failed.
    """
    figures = []
    for number, ((pair, method, repeat), trials) in enumerate(trials_by_method(study).items()):
        limits = _limits([trial for trial in study.trials if trial.pair == pair])
        best = best_trial(study, pair, method, repeat)
        figure, axes = blank(_HEIGHT, _WIDTH)
        xs = [trial.trial for trial in trials]
        _draw(axes, xs, trials, best, ink(color_of_method(method, groups)), limits)
        tops, top = [], -math.inf
        for trial in trials:
            top = max(top, _score(trial) if trial.status == "done" else -math.inf)
            tops.append(top)
        axes.step(xs, tops, where="post", color="black", alpha=0.35, linewidth=0.9)
        title = _title(study, pair, method, repeat)
        tidy(axes, "mIoU, %", "trial")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        alt = f"Search of {title}: {_counted(trials)}. {_told(trials, best)}"
        figures.append(Figure(title, "", to_svg(figure, f"search-{number}"), alt))
    return figures


def _title(study: Study, pair: str, method: str, repeat: int) -> str:
    search = f", search {repeat + 1}" if searches_in(study) > 1 else ""
    return method + (f", {pair}" if len(study.pairs) > 1 else "") + search


def sweep_plots(study: Study, groups: Sequence[Group]) -> dict[str, list[Figure]]:
    """Return, by method, a plot of score against each number that its trials varied.

    If a single number was varied, its plot shows its effect; in a search over several numbers the
    others vary too, so that a plot only shows where good values are.
    """
    sweeps: dict[str, list[Figure]] = {}
    for (pair, method, repeat), trials in trials_by_method(study).items():
        limits = _limits([trial for trial in study.trials if trial.pair == pair])
        best = best_trial(study, pair, method, repeat)
        title = _title(study, pair, method, repeat)
        for key in dict.fromkeys(key for trial in trials for key in trial.params):
            tried = [trial for trial in trials if _is_number(trial.params.get(key))]
            values = [float(trial.params[key]) for trial in tried]
            if len(set(values)) < 2:
                continue
            figure, axes = blank(_HEIGHT, _WIDTH)
            _draw(axes, values, tried, best, ink(color_of_method(method, groups)), limits)
            if min(values) > 0 and max(values) >= _LOG_FROM * min(values):
                log_across(axes)
            called = setting(study, method, key)
            tidy(axes, "mIoU, %", called)
            name = f"sweep-{sum(map(len, sweeps.values()))}"
            alt = (
                f"{title}: {_counted(tried)} with {called} from {min(values):.3g} to "
                f"{max(values):.3g}. {_told(tried, best)}"
            )
            sweeps.setdefault(title, []).append(Figure(called, "", to_svg(figure, name), alt))
    return sweeps


def _draw(
    axes: Axes,
    values: Sequence[float],
    trials: Sequence[Trial],
    best: int | None,
    color: str,
    limits: tuple[float, float],
) -> None:
    """Mark each trial: solid finished, hollow pruned, a cross at the bottom failed."""
    for x, trial in zip(values, trials, strict=True):
        score = _score(trial)
        if trial.status == "failed" or not math.isfinite(score):
            axes.plot([x], [limits[0]], "x", color=color, markersize=6, clip_on=False)
            continue
        face = color if trial.status == "done" else "none"
        axes.plot([x], [score], "o", color=color, markerfacecolor=face, markersize=5)
        if trial.trial == best:
            axes.plot([x], [score], "o", color=color, markerfacecolor="none", markersize=11)
    axes.set_ylim(*limits)


def _limits(trials: Sequence[Trial]) -> tuple[float, float]:
    """Return the range of the scores with some margin, in percent."""
    scores = [score for trial in trials if math.isfinite(score := _score(trial))] or [0.0, 100.0]
    air = 0.08 * (max(scores) - min(scores)) or 1.0
    return min(scores) - air, max(scores) + air


def _score(trial: Trial) -> float:
    return math.nan if trial.miou is None else 100 * trial.miou


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _counted(trials: Sequence[Trial]) -> str:
    statuses = [str(trial.status) for trial in trials]
    counts = [f"{statuses.count(s)} {s}" for s in ("done", "pruned", "failed") if s in statuses]
    return f"{len(trials)} trials, {', '.join(counts)}"


def _told(trials: Sequence[Trial], best: int | None) -> str:
    chosen = next((trial for trial in trials if trial.trial == best), None)
    if chosen is None:
        return "No trial was chosen."
    return f"Chosen: trial {chosen.trial} with {_score(chosen):.1f} % mIoU."
