"""The time of each network per image, once per network even if several runs trained it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from segdistill.reporting.groups import Group
from segdistill.reporting.identity import key_of
from segdistill.reporting.runs import Run
from segdistill.runs.result import BUSY, StudentCost
from segdistill.runs.student import run_of

_FILES = ("weights", "backbone_weights")


@dataclass(frozen=True)
class Timing:
    """Milliseconds per image.

    Attributes:
        ms: median of the passes, averaged over measurements.
        low: smallest tenth percentile of a measurement, None if it was not kept.
        high: largest ninetieth percentile.
    """

    ms: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Timings:
    """The times of a page.

    Attributes:
        of: timing by label of the group.
        moments: number of measurements; networks of the same one were timed in turns.
        others: largest share of the processors used by other programs, if it is disturbing.
    """

    of: Mapping[str, Timing]
    moments: int
    others: float | None


def cost_size(groups: Sequence[Group]) -> tuple[int, int] | None:
    """Return height and width of the image for which costs are given, None without costs."""
    ordered = sorted(groups, key=lambda group: group.teacher)
    costs = [run.result.cost for group in ordered for run in group.runs]
    sizes = [cost.cost_size for cost in costs if cost is not None]
    return next((size for size in sizes if size is not None), None)


def timings(groups: Sequence[Group]) -> Timings:
    """Return the time of every group's network at the size of :func:`cost_size`.

    A teacher's time is that measured in turns with its students, or by its own run if there is
    none.
    """
    size = cost_size(groups)
    own: dict[str, dict[str, Timing]] = {}
    taught: dict[str, dict[str, Timing]] = {}
    busy: dict[str, float] = {}
    for run in (run for group in groups for run in group.runs):
        cost = run.result.cost
        if cost is None or cost.latency_ms is None or cost.cost_size not in (None, size):
            continue
        moment = cost.timed or str(run.folder)
        busy[moment] = cost.latency_others or 0.0
        own.setdefault(_network(run), {})[moment] = Timing(
            cost.latency_ms, cost.latency_low_ms, cost.latency_high_ms
        )
        if (teacher := _teacher(run)) is not None and (timing := _of_teacher(cost)) is not None:
            taught.setdefault(teacher, {})[moment] = timing
    by_label, moments = {}, set[str]()
    for group in groups:
        first = group.runs[0]
        measured = own.get(_network(first), {})
        if group.teacher:
            measured = taught.get(str(first.folder.resolve())) or measured
        if measured:
            by_label[group.label] = _mean([*measured.values()])
            moments |= set(measured)
    others = max((busy[moment] for moment in moments), default=0.0)
    return Timings(by_label, len(moments), others if others >= BUSY else None)


def _of_teacher(cost: StudentCost) -> Timing | None:
    if cost.teacher_latency_ms is None:
        return None
    low, high = cost.teacher_latency_low_ms, cost.teacher_latency_high_ms
    return Timing(cost.teacher_latency_ms, low, high)


def _mean(measured: Sequence[Timing]) -> Timing:
    lows = [timing.low for timing in measured if timing.low is not None]
    highs = [timing.high for timing in measured if timing.high is not None]
    ms = fmean(timing.ms for timing in measured)
    return Timing(ms, min(lows, default=None), max(highs, default=None))


def _network(run: Run) -> str:
    """Return a key for the network of a run: its settings without its weights."""
    student = run.settings.get("student") or {}
    cost = run.result.cost
    counted = [None, None] if cost is None else [cost.params_m, cost.gflops]
    return key_of({k: v for k, v in student.items() if k not in _FILES} | {"counted": counted})


def _teacher(run: Run) -> str | None:
    """Return the folder of a run's teacher."""
    weights = (run.settings.get("teacher") or {}).get("weights")
    return None if weights is None else str(run_of(Path(weights)).resolve())
