"""How long each network takes for an image: once for a network, however many runs trained it."""

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
    """Milliseconds for one image.

    Attributes:
        ms: median of the passes, mean over measurements.
        low: least tenth percentile of a measurement, None where it was not kept.
        high: largest ninetieth percentile.
    """

    ms: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Timings:
    """The times of a page.

    Attributes:
        of: by label of the group.
        moments: how many measurements they come from; networks of one were timed in turns.
        others: largest share of the processors that other programs took, where that disturbs.
    """

    of: Mapping[str, Timing]
    moments: int
    others: float | None


def cost_size(groups: Sequence[Group]) -> tuple[int, int] | None:
    """Return height and width of the image that costs are for, None without costs."""
    ordered = sorted(groups, key=lambda group: group.teacher)
    costs = [run.result.cost for group in ordered for run in group.runs]
    sizes = [cost.cost_size for cost in costs if cost is not None]
    return next((size for size in sizes if size is not None), None)


def timings(groups: Sequence[Group]) -> Timings:
    """Return the time of every group's network, at the size of :func:`cost_size`.

    A teacher's is what it took in turns with its students; only where none measured it, what its
    own run did.
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
    found, moments = {}, set[str]()
    for group in groups:
        first = group.runs[0]
        measured = own.get(_network(first), {})
        if group.teacher:
            measured = taught.get(str(first.folder.resolve())) or measured
        if measured:
            found[group.label] = _mean([*measured.values()])
            moments |= set(measured)
    others = max((busy[moment] for moment in moments), default=0.0)
    return Timings(found, len(moments), others if others >= BUSY else None)


def _of_teacher(cost: StudentCost) -> Timing | None:
    if cost.teacher_latency_ms is None:
        return None
    low, high = cost.teacher_latency_low_ms, cost.teacher_latency_high_ms
    return Timing(cost.teacher_latency_ms, low, high)


def _mean(measured: Sequence[Timing]) -> Timing:
    lows = [one.low for one in measured if one.low is not None]
    highs = [one.high for one in measured if one.high is not None]
    ms = fmean(one.ms for one in measured)
    return Timing(ms, min(lows, default=None), max(highs, default=None))


def _network(run: Run) -> str:
    """Return what tells the network of a run from others: its settings without its weights."""
    student = run.settings.get("student") or {}
    cost = run.result.cost
    counted = [None, None] if cost is None else [cost.params_m, cost.gflops]
    return key_of({k: v for k, v in student.items() if k not in _FILES} | {"counted": counted})


def _teacher(run: Run) -> str | None:
    """Return the folder that a run's teacher comes from."""
    weights = (run.settings.get("teacher") or {}).get("weights")
    return None if weights is None else str(run_of(Path(weights)).resolve())
