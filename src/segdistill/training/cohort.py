"""The training loop: one batch, one teacher forward, then every learner's step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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


Diverged = Callable[[Learner, TrainingDivergedError], None]


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
    diverged: Diverged = stop,
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
    for step, batch in zip(range(start, steps), batches, strict=True):
        clock = Clock({learner.name: 0.0 for learner in learners})
        parts = _split(batch, accumulate)
        losses = train_step(
            teacher, learners, parts, step, fabric=fabric, clock=clock, diverged=diverged
        )
        seconds = time.perf_counter() - began
        if not learners:
            return step
        done = Step(step + 1, losses, seconds, clock.teacher, clock.learners)
        if not after(done) or not learners:
            return step + 1
        began = time.perf_counter()  # scores and checkpoints are no part of the next batch
    return steps


def train_step(
    teacher: FrozenTeacher | None,
    learners: list[Learner],
    parts: Sequence[Batch],
    step: int,
    *,
    fabric: Fabric,
    clock: Clock,
    diverged: Diverged,
) -> dict[str, dict[str, float]]:
    """Take one step with every learner, and return the weighted losses by learner and part.

    Args:
        teacher: as for :func:`fit`, as are ``learners``, ``fabric`` and ``diverged``.
        parts: the batch, in as many parts as gradients are accumulated over.
        step: the step, from 0.
        clock: charged with the seconds of teacher and learners.
    """
    for learner in learners:
        with clock.of(learner):
            learner.begin(step)  # training mode, the step's learning rate, no gradients

    for number, part in enumerate(parts):
        last = number + 1 == len(parts)

        # The batch: images, labels and valid, the same for all learners.
        batch = Batch(*(fabric.to_device(tensor) for tensor in part))
        images = to_float(batch.images)

        # The teacher's forward: once, up to the deepest map that a learner asks for.
        with clock.of_teacher():
            teacher_maps = teach(teacher, images, fabric)
            if teacher_maps and fabric.device.type == "cuda":
                # Else the first learner would wait for the teacher and be charged for it.
                torch.cuda.synchronize(fabric.device)

        for learner in tuple(learners):
            with clock.of(learner):
                learner.seed(step, number, fabric)  # dropout is a function of seed and step
                with learner.without_sync(fabric, enabled=not last):
                    # The student's forward, and every term of its objective.
                    losses = learner.forward(images, batch, teacher_maps)

                    # Backward: the mean over the parts of the batch.
                    total = torch.stack(list(losses.values())).sum()
                    fabric.backward(total / len(parts))
                try:
                    learner.add_losses(losses, step=step, parts=len(parts))
                except TrainingDivergedError as error:
                    diverged(learner, error)
                    learners.remove(learner)
                    continue

                # The critics' gradients, from the maps that the student just met.
                learner.adversaries.backward(fabric, part=number, parts=len(parts))
                del total, losses  # this learner's graph, before the next makes its own

    # The updates: each student, then its critics and its averaged weights.
    updated = {}
    for learner in learners:
        with clock.of(learner):
            learner.update(fabric)
            learner.update_critics()
            learner.update_average()
            updated[learner.name] = learner.losses
    return updated


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


@dataclass
class Clock:
    """Seconds of one step: the teacher's, and each learner's by name."""

    learners: dict[str, float]
    teacher: float = 0.0

    @contextmanager
    def of_teacher(self) -> Iterator[None]:
        """Charge the teacher for a block."""
        began = time.perf_counter()
        yield
        self.teacher += time.perf_counter() - began

    @contextmanager
    def of(self, learner: Learner) -> Iterator[None]:
        """Charge a learner for a block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.learners[learner.name] += time.perf_counter() - began
