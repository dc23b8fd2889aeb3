"""The cost of the learners of a cohort, measured over a few steps before a long run."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import torch
from torch import Tensor

from segdistill.config import RunConfig
from segdistill.errors import TrainingDivergedError
from segdistill.memory import Peak, free_memory, peak_memory
from segdistill.runs.measured import CohortCost, LearnerCost
from segdistill.training.build import build_data
from segdistill.training.cohort import Step, fit
from segdistill.training.devices import build_fabric
from segdistill.training.events import silent
from segdistill.training.learner import Learner
from segdistill.training.prepare import prepare, steps_before
from segdistill.training.run import prepare_cohort

_WARM_UP = 2


def measure_cohort(configs: Mapping[str, RunConfig], *, steps: int = 4) -> CohortCost:
    """Run a few steps of each learner separately and write nothing.

    Args:
        configs: configs by learner; data, teacher and device are those of the first.
        steps: number of measured steps, after two for warm-up; shorter runs are measured whole.

    Raises:
        ConfigError, DataError, CheckpointError, TrainingDivergedError, ValueError: whatever
            would stop the run as well.
    """
    first = next(iter(configs.values()))
    fabric, data = build_fabric(first), build_data(first)
    teacher, learners = prepare_cohort(configs, data, fabric, silent)
    free = free_memory(fabric.device)
    batches, teaching, costs = list[float](), list[float](), dict[str, LearnerCost]()
    for learner in learners:
        taken: list[Step] = []

        def note(step: Step, taken: list[Step] = taken) -> bool:
            taken.append(step)
            return True

        distils = bool(configs[learner.name].distill)
        before = list[float]()

        def note_stage(
            done: int, steps: int, loss: float, seconds: float, before: list[float] = before
        ) -> None:
            before.append(seconds)

        with peak_memory(fabric.device) as peak:
            prepare(
                learner, teacher, data.stream, fabric=fabric, after=note_stage, most_steps=_WARM_UP
            )
            fit(
                teacher if distils else None,
                [learner],
                data.stream,
                fabric=fabric,
                steps=min(steps + _WARM_UP, first.training.steps),
                workers=first.data.workers,
                accumulate=first.training.accumulate,
                after=note,
                diverged=_forgive,
            )
        if not taken:
            raise TrainingDivergedError(
                f"learner {learner.name}: expected a first step with a finite loss, got none; "
                "lower training.lr or the weights of its terms"
            )
        counted = taken[_WARM_UP:] or taken
        own = [step.learner_seconds[learner.name] for step in counted]
        batches += [
            step.seconds - step.teacher_seconds - seconds
            for step, seconds in zip(counted, own, strict=True)
        ]
        teaching += [step.teacher_seconds for step in counted if distils]
        whole_stage = before[-1] * steps_before(data.stream) if before else 0.0
        costs[learner.name] = _cost(learner, median(own), peak, whole_stage)
    teacher_seconds = median(teaching) if teaching else 0.0
    devices = torch.cuda.device_count() if fabric.device.type == "cuda" else 1
    return CohortCost(median(batches), teacher_seconds, costs, free, devices)


def _forgive(learner: Learner, error: TrainingDivergedError) -> None:
    """Ignore divergence, because the search may find better values than the study file's."""


def _cost(learner: Learner, seconds: float, peak: Peak, prepare_seconds: float) -> LearnerCost:
    """Return the measured cost, with at least the memory that the learner is known to hold.

    The measurement misses memory that the process had freed and takes again.
    """
    gradients = sum(p.numel() * p.element_size() for p in learner.network.parameters())
    held = (_bytes(learner.state()) + gradients) / 2**20
    if peak.left_mib is None or peak.mib is None:
        return LearnerCost(seconds, None, None, prepare_seconds)
    return LearnerCost(seconds, max(held, peak.left_mib), max(held, peak.mib), prepare_seconds)


def _bytes(state: Any) -> int:
    """Return the bytes of all tensors in nested containers."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, Mapping):
        return sum(map(_bytes, state.values()))
    return sum(map(_bytes, state)) if isinstance(state, list | tuple) else 0
