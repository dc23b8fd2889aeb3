"""Summary statistics of finished runs, computed in one place.

``results.json``, the report, its CSV and LaTeX tables and the terminal all read these records.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import fmean, stdev
from typing import Any, TypeVar

from segdistill.runs.measured import CohortCost as MeasuredCost
from segdistill.runs.result import Result
from segdistill.studies.comparison import Comparison, by_search, compare_by_seed
from segdistill.studies.rank_groups import rank_groups
from segdistill.studies.statistics import ranks

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Summary:
    """The finished runs of one method.

    Attributes:
        results: results of all runs, in the given order.
        scores: mIoU by seed; repeated runs of a seed count once, with their mean.
        mean: mean of the scores, None if no run finished.
        deviation: standard deviation of the scores over seeds, None for fewer than two.
        rank: mean rank over the seeds that all ranked methods have, 1 being the best; None if
            there is no such seed.
        letters: letters of its groups, ``a`` being the best; see ``rank_groups.rank_groups``;
            empty if methods are not compared.
        comparison: comparison with the baseline; None for the baseline and without shared seeds.
        differences: score minus the baseline's, for every compared seed.
        sample: the differences that are tested: those of the seeds or, if the settings come from
            several searches, the mean difference of each search's seeds.
        classes: IoU by class minus the baseline's, for every class that all compared runs have.
        class_differences: the differences behind ``classes``, one per compared seed.
    """

    results: tuple[Result, ...]
    scores: Mapping[Any, float]
    mean: float | None
    deviation: float | None
    rank: float | None
    letters: str
    comparison: Comparison | None
    differences: Mapping[Any, float]
    sample: tuple[float, ...]
    classes: Mapping[str, Comparison]
    class_differences: Mapping[str, Sequence[float]]

    @property
    def best_mean(self) -> float | None:
        """Mean of the best mIoU during training; None if a run was not scored during training."""
        return _mean(None if run.best is None else run.best.miou for run in self.results)

    def mean_of(self, key: str) -> float | None:
        """Return the mean of a field of ``result.json``; None unless every run has it."""
        return _mean(result.as_dict().get(key) for result in self.results)

    def iou(self, name: str) -> float | None:
        """Return a class's mean IoU over the runs that have one."""
        known = [iou for result in self.results if (iou := result.iou.get(name)) is not None]
        return fmean(known) if known else None


def summarize(
    methods: Mapping[str, Mapping[S, Sequence[Result]]],
    baseline: str | None,
    searches: Mapping[S, int] | None = None,
) -> dict[str, Summary]:
    """Summarize methods and compare each with the baseline over the seeds that both have.

    The methods are tested jointly, and so are the classes within a method.

    Args:
        methods: results by method and seed, possibly none. Several results of one seed are
            repeats of the same run.
        baseline: the method that the others are compared with, None to compare nothing.
        searches: the search whose values each seed uses, None if there was only one.

    Raises:
        ValueError: a score is not finite.
    """
    scores = {
        name: {seed: fmean(run.miou for run in runs) for seed, runs in seeds.items()}
        for name, seeds in methods.items()
    }
    against = {} if baseline is None else scores[baseline]
    rivals = {name: own for name, own in scores.items() if name != baseline}
    compared = compare_by_seed(rivals, against, searches)
    placed = _ranks(scores)
    claimed = {name for name, comparison in compared.items() if comparison.claims()}
    grouped = {}
    if compared and baseline is not None:
        grouped = rank_groups(scores, baseline, claimed, searches)
    summaries = {}
    for name, seeds in methods.items():
        own = list(scores[name].values())
        changes: dict[str, dict[S, float]] = {}
        if name in compared and baseline is not None:
            changes = _class_changes(seeds, methods[baseline])
        paired = [seed for seed in against if seed in scores[name] and name in compared]
        differences = {seed: scores[name][seed] - against[seed] for seed in paired}
        summaries[name] = Summary(
            results=tuple(run for runs in seeds.values() for run in runs),
            scores=scores[name],
            mean=fmean(own) if own else None,
            deviation=stdev(own) if len(own) > 1 else None,
            rank=placed.get(name),
            letters=grouped.get(name, ""),
            comparison=compared.get(name),
            differences=differences,
            sample=tuple(by_search(differences, searches).values()),
            classes=compare_by_seed(changes, dict.fromkeys(paired, 0.0), searches),
            class_differences={label: list(values.values()) for label, values in changes.items()},
        )
    return summaries


@dataclass(frozen=True)
class Sharing:
    """Training seconds of runs that shared their batches and their teacher.

    Attributes:
        runs: number of runs.
        together: actual seconds, with the shared part counted once per cohort.
        apart: seconds that separate runs would have taken.
        parts: seconds of reading, teacher and every student's steps according to measurements
            before the study; None without them.
    """

    runs: int
    together: float
    apart: float
    parts: float | None = None


def share(folders: Iterable[Mapping[str, Result]], measured: MeasuredCost | None = None) -> Sharing:
    """Return the seconds of cohorts together, apart and, if measured, in parts.

    Runs in one folder with exactly equal waiting times for batches and teacher were one cohort.
    Runs without recorded parts are left out.

    Args:
        folders: results by method of the runs in each folder.
        measured: seconds per step of reading, of the teacher and of each method's student.
    """
    runs, together, apart, parts = 0, 0.0, 0.0, 0.0
    for folder in folders:
        results = {name: run for name, run in folder.items() if run.own_seconds is not None}
        shared = {
            (run.batch_seconds or 0.0, run.teacher_seconds or 0.0): run.steps
            for run in results.values()
        }
        runs += len(results)
        together += fsum(batch + teacher for batch, teacher in shared)
        together += fsum(run.own_seconds or 0.0 for run in results.values())
        apart += fsum(run.seconds or 0.0 for run in results.values())
        if measured is not None:
            for (_, teacher), steps in shared.items():
                per_step = measured.batch_seconds + measured.teacher_seconds * (teacher > 0)
                parts += steps * per_step
            for method, run in results.items():
                parts += run.steps * measured.learners[method].seconds
                # The stage before training costs the same in a cohort.
                parts += run.prepare_seconds or 0.0
    return Sharing(runs, together, apart, None if measured is None else parts)


def _ranks(scores: Mapping[str, Mapping[S, float]]) -> dict[str, float]:
    """Return mean ranks over the seeds that every method with scores has."""
    ranked = {name: own for name, own in scores.items() if own}
    shared = common_seeds(scores)
    return ranks({n: [own[s] for s in shared] for n, own in ranked.items()}) if shared else {}


def common_seeds(scores: Mapping[str, Mapping[S, float]]) -> list[S]:
    """Return the seeds that every method with scores has, in the order of the first method."""
    ranked = [own for own in scores.values() if own]
    return [seed for seed in ranked[0] if all(seed in own for own in ranked)] if ranked else []


def _class_changes(
    method: Mapping[S, Sequence[Result]], baseline: Mapping[S, Sequence[Result]]
) -> dict[str, dict[S, float]]:
    """Return IoU minus the baseline's by class and seed, for classes that every run has."""
    seeds = [seed for seed in baseline if seed in method]
    changes = {}
    for name in baseline[seeds[0]][0].iou:
        values = {s: (_iou(method[s], name), _iou(baseline[s], name)) for s in seeds}
        known = {s: x - y for s, (x, y) in values.items() if x is not None and y is not None}
        if len(known) == len(seeds):
            changes[name] = known
    return changes


def _iou(runs: Sequence[Result], name: str) -> float | None:
    return _mean(run.iou.get(name) for run in runs)


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean, or None if a value is missing."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    return fmean(known) if known and len(known) == len(listed) else None
