"""What the learners of a cohort cost, measured on a few steps before a long run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from segdistill.config import RunConfig
from segdistill.memory import free_memory, peak_memory
from segdistill.training.build import build_data
from segdistill.training.cohort import Step, fit
from segdistill.training.events import silent
from segdistill.training.machine import build_fabric
from segdistill.training.run import prepare_cohort

_WARM_UP = 2


@dataclass(frozen=True)
class LearnerCost:
    """What a learner costs beside batch and teacher.

    Attributes:
        seconds: of its own step.
        kept_mib: memory that it holds between steps; None where the system does not tell.
        peak_mib: memory that it takes during its step, ``kept_mib`` and teacher included.
    """

    seconds: float
    kept_mib: float | None
    peak_mib: float | None


@dataclass(frozen=True)
class CohortCost:
    """What the parts of a cohort cost.

    Attributes:
        batch_seconds: waiting for a batch.
        teacher_seconds: the teacher's forward, 0 where nobody asks for it.
        learners: by name.
        free_mib: memory that is left with teacher and data loaded.
    """

    batch_seconds: float
    teacher_seconds: float
    learners: Mapping[str, LearnerCost]
    free_mib: float | None

    def alone(self, learner: str, *, distils: bool) -> float:
        """Return the seconds of a step of one learner without the cohort."""
        teacher = self.teacher_seconds if distils else 0.0
        return self.batch_seconds + teacher + self.learners[learner].seconds


def measure_cohort(configs: Mapping[str, RunConfig], *, steps: int = 4) -> CohortCost:
    """Take a few steps of each learner by itself and write nothing.

    Args:
        configs: by learner; data, teacher and device are those of the first.
        steps: that count, after two that warm up; all do in a run that is shorter.

    Raises:
        ConfigError, DataError, CheckpointError, TrainingDivergedError, ValueError: what would
            stop the run as well.
    """
    first = next(iter(configs.values()))
    fabric, data = build_fabric(first), build_data(first)
    teacher, learners = prepare_cohort(configs, data, fabric, silent)
    free = free_memory(fabric.device)
    batches, teaching, found = list[float](), list[float](), dict[str, LearnerCost]()
    for learner in learners:
        taken: list[Step] = []

        def note(step: Step, taken: list[Step] = taken) -> bool:
            taken.append(step)
            return True

        distils = bool(configs[learner.name].distill)
        with peak_memory(fabric.device) as peak:
            fit(
                teacher if distils else None,
                [learner],
                data.stream,
                fabric=fabric,
                steps=min(steps + _WARM_UP, first.training.steps),
                workers=first.data.workers,
                accumulate=first.training.accumulate,
                after=note,
            )
        counted = taken[_WARM_UP:] or taken
        own = [step.learner_seconds[learner.name] for step in counted]
        batches += [
            step.seconds - step.teacher_seconds - seconds
            for step, seconds in zip(counted, own, strict=True)
        ]
        teaching += [step.teacher_seconds for step in counted if distils]
        found[learner.name] = LearnerCost(median(own), peak.left_mib, peak.mib)
    return CohortCost(median(batches), median(teaching) if teaching else 0.0, found, free)
