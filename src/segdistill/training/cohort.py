"""The training loop: one batch, one teacher forward, then one step of every learner."""

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
from segdistill.losses.maths.part import Part, computing
from segdistill.models.frozen import FrozenTeacher
from segdistill.training.learner import Learner
from segdistill.types import Batch, TapMaps


@dataclass(frozen=True)
class Step:
    """What one step of a cohort did.

    Attributes:
        done: number of steps finished, including this one.
        losses: weighted loss by learner and part.
        seconds: duration of this step, including the wait for the batch.
        teacher_seconds: the part of it that the teacher's forward took.
        learner_seconds: the parts that the learners took; the rest is the wait.
    """

    done: int
    losses: Mapping[str, Mapping[str, float]]
    seconds: float
    teacher_seconds: float
    learner_seconds: Mapping[str, float]


Diverged = Callable[[Learner, TrainingDivergedError], None]


def stop(learner: Learner, error: TrainingDivergedError) -> None:
    """End the whole cohort when a learner diverges."""
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
    """Train a cohort and return the number of steps finished.

    Every learner sees the same batches and the same teacher maps. Adding a learner costs only its
    own step, and no learner that joins or leaves changes a bit of the others.

    Args:
        teacher: provides the maps that the learners need, or None for plain training.
        learners: on the fabric's device already; changed in place. A learner leaves by diverging
            or when ``after`` removes it from the list; training ends when none is left.
        stream: batches by number; batch k feeds step k.
        fabric: device, precision and processes.
        steps: number of the step at which to end.
        start: number of steps finished before, when a run resumes.
        workers: number of loader processes.
        accumulate: number of parts in which each batch is computed to save memory. Losses and
            gradients are those of the global batch; batch norm sees one part at a time.
        after: called after each step; training ends early if it returns False.
        diverged: called when a loss of a learner is not finite, before the learner leaves; it
            was not updated in that step. It may raise to end the training of all.

    Raises:
        TrainingDivergedError: from ``diverged``; no learner was updated in that step.
    """
    batches = stream.loader(
        start, steps, workers=workers, rank=fabric.global_rank, world=fabric.world_size
    )
    places = _places(stream, fabric)
    began = time.perf_counter()
    for step, batch in zip(range(start, steps), batches, strict=True):
        clock = Clock({learner.name: 0.0 for learner in learners})
        losses = train_step(
            teacher,
            learners,
            batch,
            step,
            parts=cut(places, accumulate),
            images=stream.batch_size,
            fabric=fabric,
            clock=clock,
            diverged=diverged,
        )
        seconds = time.perf_counter() - began
        if not learners:
            return step
        done = Step(step + 1, losses, seconds, clock.teacher, clock.learners)
        if not after(done) or not learners:
            return step + 1
        began = time.perf_counter()  # scores and checkpoints do not count for the next batch
    return steps


def train_step(
    teacher: FrozenTeacher | None,
    learners: list[Learner],
    batch: Batch,
    step: int,
    *,
    parts: Sequence[Cut],
    images: int,
    fabric: Fabric,
    clock: Clock,
    diverged: Diverged,
) -> dict[str, dict[str, float]]:
    """Take one step with every learner, and return the weighted losses by learner and part.

    Args:
        teacher: as for :func:`fit`, as are ``learners``, ``fabric`` and ``diverged``.
        batch: this process's share of the global batch.
        step: the step, from 0.
        parts: the parts in which it is computed, in order.
        images: number of images in the global batch.
        clock: counts the seconds of teacher and learners.
    """
    for learner in learners:
        with clock.of(learner):
            learner.begin(step)  # training mode, the step's learning rate, no gradients

    # The batch: images, labels and valid, the same for all learners.
    batch = Batch(*(fabric.to_device(tensor) for tensor in batch))
    whole = batch if len(parts) > 1 else None

    for number, cut in enumerate(parts):
        last = number + 1 == len(parts)
        part = batch if whole is None else Batch(*(tensor[cut.rows] for tensor in batch))
        inputs = to_float(part.images)

        # The teacher's forward: once, up to the deepest map that a learner needs.
        with clock.of_teacher():
            teacher_maps = teach(teacher, inputs, fabric)
            if teacher_maps and fabric.device.type == "cuda":
                # Otherwise the first learner would be charged for waiting for the teacher.
                torch.cuda.synchronize(fabric.device)

        for learner in tuple(learners):
            with clock.of(learner), computing(Part(cut.places, images, last)):
                learner.seed(step, number, fabric)  # dropout is a function of seed and step
                if whole is not None:
                    learner.adversaries.begin_part(first=number == 0)
                with learner.without_sync(fabric, enabled=not last):
                    # The student's forward, and every term of its objective: the part's share
                    # of the loss of the global batch.
                    losses = learner.forward(inputs, part, teacher_maps, whole)
                    fabric.backward(torch.stack(list(losses.values())).sum())
                try:
                    learner.add_losses(losses, step=step, fabric=fabric)
                except TrainingDivergedError as error:
                    diverged(learner, error)
                    learners.remove(learner)
                    continue

                # The critics' gradients, from the maps just compared.
                share = len(part.images) / len(batch.images)
                learner.adversaries.backward(fabric, share=share, first=number == 0, last=last)
                del losses  # frees this learner's graph before the next one is made

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
    """Return the teacher's maps of the images; none without a teacher."""
    if teacher is None:
        return {}
    with fabric.autocast():
        maps: TapMaps = teacher(images)
    return maps


@dataclass(frozen=True)
class Cut:
    """The images of a process's batch that make up one part of it.

    Attributes:
        rows: their indices in the process's batch.
        places: their indices in the global batch.
    """

    rows: Tensor
    places: Tensor


@dataclass(frozen=True)
class Places:
    """The indices in the global batch of the images of a process's batch.

    Attributes:
        labelled: indices of the labelled images.
        unlabelled: indices of the images without labels.
        without_from: index of the first image without labels in the global batch.
    """

    labelled: Tensor
    unlabelled: Tensor
    without_from: int


def _places(stream: Stream, fabric: Fabric) -> Places:
    """Return the indices of a process's images: the labelled ones, then the others."""
    without = 0 if stream.unlabelled is None else stream.unlabelled.batch_size
    everywhere = torch.arange(stream.batch_size, device=fabric.device)
    labelled, unlabelled = everywhere.tensor_split([stream.batch_size - without])
    rank, world = fabric.global_rank, fabric.world_size
    own, others = labelled.chunk(world)[rank], unlabelled.view(world, -1)[rank]
    return Places(own, others, len(labelled))


def cut(places: Places, parts: int) -> list[Cut]:
    """Cut a batch so that each part has its share of the labelled and of the other images.

    Part j gets the images whose index among their kind is j modulo the number of parts. For any
    number of processes these are the same images of the global batch, so that batch norm over all
    processes sees the same. Left-over labelled images go to the first parts and left-over
    unlabelled ones to the last, so that all parts have equal sizes if the batch is divisible.
    """
    both = torch.cat([places.labelled, places.unlabelled])
    turns = torch.cat(
        [places.labelled % parts, parts - 1 - (places.unlabelled - places.without_from) % parts]
    )
    rows = torch.arange(len(both), device=both.device)
    return [Cut(rows[turns == turn], both[turns == turn]) for turn in range(parts)]


@dataclass
class Clock:
    """The seconds of one step spent on the teacher and on each learner, by name."""

    learners: dict[str, float]
    teacher: float = 0.0

    @contextmanager
    def of_teacher(self) -> Iterator[None]:
        """Charge the time of a block to the teacher."""
        began = time.perf_counter()
        yield
        self.teacher += time.perf_counter() - began

    @contextmanager
    def of(self, learner: Learner) -> Iterator[None]:
        """Charge the time of a block to a learner."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.learners[learner.name] += time.perf_counter() - began
