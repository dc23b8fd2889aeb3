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
from segdistill.losses.maths.part import Part, computing
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
        accumulate: parts that each batch is computed in to save memory. Losses and gradients
            are those of the global batch; batch norm sees one part at a time.
        after: called after each step; training ends early where it returns False.
        diverged: called when a loss of a learner is not finite, before it leaves; the learner
            was not updated in that step. Raises to end the training of all.

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
        began = time.perf_counter()  # scores and checkpoints are no part of the next batch
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
        parts: that it is computed in, one after the other.
        images: in the global batch.
        clock: charged with the seconds of teacher and learners.
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

        # The teacher's forward: once, up to the deepest map that a learner asks for.
        with clock.of_teacher():
            teacher_maps = teach(teacher, inputs, fabric)
            if teacher_maps and fabric.device.type == "cuda":
                # Else the first learner would wait for the teacher and be charged for it.
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

                # The critics' gradients, from the maps that the student just met.
                share = len(part.images) / len(batch.images)
                learner.adversaries.backward(fabric, share=share, first=number == 0, last=last)
                del losses  # this learner's graph, before the next makes its own

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


@dataclass(frozen=True)
class Cut:
    """Which images of a process's batch make a part of it.

    Attributes:
        rows: of the process's batch.
        places: of the same images in the global batch.
    """

    rows: Tensor
    places: Tensor


@dataclass(frozen=True)
class Places:
    """Where the images of a process's batch are in the global batch.

    Attributes:
        labelled: places of the labelled ones.
        unlabelled: of those without labels.
        without_from: the place of the first without, those of all processes counted.
    """

    labelled: Tensor
    unlabelled: Tensor
    without_from: int


def _places(stream: Stream, fabric: Fabric) -> Places:
    """Return the places of a process's images: first the labelled ones, then those without."""
    without = 0 if stream.unlabelled is None else stream.unlabelled.batch_size
    everywhere = torch.arange(stream.batch_size, device=fabric.device)
    labelled, unlabelled = everywhere.tensor_split([stream.batch_size - without])
    rank, world = fabric.global_rank, fabric.world_size
    own, others = labelled.chunk(world)[rank], unlabelled.view(world, -1)[rank]
    return Places(own, others, len(labelled))


def cut(places: Places, parts: int) -> list[Cut]:
    """Cut a batch so that each part has its share of the labelled and of the other images.

    Part j has the images whose place among those of their kind leaves the remainder j: the same
    of the global batch for any number of processes, so that batch norm over all of them sees the
    same. What does not divide goes to the first parts of the one and to the last of the other,
    so that all parts are of one size where the batch divides.
    """
    both = torch.cat([places.labelled, places.unlabelled])
    turns = torch.cat(
        [places.labelled % parts, parts - 1 - (places.unlabelled - places.without_from) % parts]
    )
    rows = torch.arange(len(both), device=both.device)
    return [Cut(rows[turns == turn], both[turns == turn]) for turn in range(parts)]


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
