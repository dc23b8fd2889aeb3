"""The training loop: one batch, one teacher forward, then every learner's step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor

from segdistill.data.stream import Stream
from segdistill.errors import TrainingDivergedError
from segdistill.models.frozen import FrozenTeacher
from segdistill.training.learner import Learner
from segdistill.types import Batch, TapMaps


@dataclass(frozen=True)
class Step:
    """What one step of a cohort did.

    Attributes:
        done: steps finished, this one included.
        losses: weighted loss by learner and part.
        seconds: of this step, waiting for the batch included.
        teacher_seconds: of it, the teacher's forward.
        learner_seconds: of it, by learner; the rest is the batch.
    """

    done: int
    losses: Mapping[str, Mapping[str, float]]
    seconds: float
    teacher_seconds: float
    learner_seconds: Mapping[str, float]


def stop(learner: Learner, error: TrainingDivergedError) -> None:
    """End the whole cohort where a learner diverges."""
    raise error


def fit(
    teacher: FrozenTeacher | None,
    learners: list[Learner],
    stream: Stream,
    *,
    fabric: Fabric,
    steps: int,
    start: int = 0,
    workers: int = 0,
    accumulate: int = 1,
    after: Callable[[Step], bool] = lambda step: True,
    diverged: Callable[[Learner, TrainingDivergedError], None] = stop,
) -> int:
    """Train a cohort and return the steps finished.

    Every learner sees the same batches and the same teacher maps; adding one costs its own
    step only, and neither that nor one that leaves changes a bit of the others.

    Args:
        teacher: gives the maps that all learners ask for, or None for plain training.
        learners: on the fabric's device already; changed in place. One that ``after`` takes
            out of the list, or that diverges, has left; training ends when none is left.
        stream: batches by number; batch k feeds step k.
        fabric: device, precision and processes.
        steps: where to end.
        start: steps finished before, when a run resumes.
        workers: loader processes.
        accumulate: parts that each batch is split into to save memory.
        after: called after each step; training ends early where it returns False.
        diverged: called when a loss of a learner is not finite, before it leaves; the learner
            was not updated in that step. Raises to end the training of all.

    Raises:
        TrainingDivergedError: from ``diverged``; no learner was updated in that step.
    """
    batches = stream.loader(
        start, steps, workers=workers, rank=fabric.global_rank, world=fabric.world_size
    )
    began = time.perf_counter()
    for step, whole in zip(range(start, steps), batches, strict=True):
        teaching = {"": 0.0}
        spent = dict.fromkeys((learner.name for learner in learners), 0.0)
        for part, batch in enumerate(_split(whole, accumulate)):
            batch = Batch(*(fabric.to_device(tensor) for tensor in batch))
            images = to_float(batch.images)
            with _Clock(teaching, ""):
                maps = teach(teacher, images, fabric)
                if maps and fabric.device.type == "cuda":
                    # Else the first learner would wait for the teacher and be charged for it.
                    torch.cuda.synchronize(fabric.device)
            for learner in tuple(learners):
                with _Clock(spent, learner.name):
                    try:
                        learner.backward(
                            fabric, images, batch, maps, step=step, part=part, parts=accumulate
                        )
                    except TrainingDivergedError as error:
                        diverged(learner, error)
                        learners.remove(learner)
        losses = {}
        for learner in learners:
            with _Clock(spent, learner.name):
                losses[learner.name] = learner.update(fabric)
        now = time.perf_counter()
        if not learners:
            return step
        if not after(Step(step + 1, losses, now - began, teaching[""], spent)) or not learners:
            return step + 1
        began = time.perf_counter()  # scores and checkpoints are no part of the next batch
    return steps


def to_float(images: Tensor) -> Tensor:
    """Turn uint8 images into what networks take: float in [0, 1], channels last."""
    return images.contiguous(memory_format=torch.channels_last).float().div_(255)


def teach(teacher: FrozenTeacher | None, images: Tensor, fabric: Fabric) -> TapMaps:
    """Return the teacher's maps of images, none without a teacher."""
    if teacher is None:
        return {}
    with fabric.autocast():
        maps: TapMaps = teacher(images)
    return maps


def _split(batch: Batch, parts: int) -> Sequence[Batch]:
    if parts == 1:
        return [batch]
    return [Batch(*part) for part in zip(*(tensor.chunk(parts) for tensor in batch), strict=True)]


class _Clock:
    """Add the seconds of a block to one entry of a table."""

    def __init__(self, table: dict[str, float], name: str) -> None:
        self.table, self.name = table, name

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.table[self.name] += time.perf_counter() - self.began
