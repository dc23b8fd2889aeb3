"""The training loop: one batch, one teacher forward, then every learner's step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor

from segdistill.data.stream import Stream
from segdistill.errors import TrainingDivergedError
from segdistill.losses.maths.part import Part, computing
from segdistill.models.frozen import FrozenTeacher
from segdistill.training.clock import Clock, Mark
from segdistill.training.learner import Learner, StepLosses
from segdistill.training.objective import is_critic
from segdistill.training.sending import Send, sender
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
        latest: whether the learners are as this step left them: not so where several steps are
            read at once, and this is none but the last.
    """

    done: int
    losses: Mapping[str, Mapping[str, float]]
    seconds: float
    teacher_seconds: float
    learner_seconds: Mapping[str, float]
    latest: bool = True


Diverged = Callable[[Learner, TrainingDivergedError], None]


def stop(learner: Learner, error: TrainingDivergedError) -> None:
    """End the whole cohort where a learner diverges."""
    raise error


def every_step(done: int) -> bool:
    """Read the losses after each step."""
    return True


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
    reads: Callable[[int], bool] = every_step,
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
        reads: whether losses are read from the device after a step, by steps done. A GPU has to
            be waited for then, and works on without that where they are read seldom.
        after: called for each step once its losses were read; training ends early where it
            returns False.
        diverged: called when a loss of a learner is not finite, before it leaves. From that
            step on nothing was updated in it, however much later the loss is read. Raises to
            end the training of all.

    Raises:
        TrainingDivergedError: from ``diverged``.
    """
    batches = stream.loader(
        start, steps, workers=workers, rank=fabric.global_rank, world=fabric.world_size
    )
    parts = cut(_places(stream, fabric), accumulate)
    send = sender(fabric.device)
    unread = list[Unread]()
    began = Mark(fabric.device)
    for step, batch in zip(range(start, steps), batches, strict=True):
        clock = Clock(fabric.device)
        losses = train_step(
            teacher,
            learners,
            batch,
            step,
            parts=parts,
            images=stream.batch_size,
            fabric=fabric,
            clock=clock,
            send=send,
        )
        ended = Mark(fabric.device)
        unread.append(Unread(step + 1, losses, clock, began, ended))
        if not reads(step + 1) and step + 1 < steps:
            began = ended
            continue
        for done in read_losses(unread, learners, diverged):
            if not learners:
                return done.done - 1
            if not after(done) or not learners:
                return done.done
        unread.clear()
        began = Mark(fabric.device)  # scores and checkpoints are no part of the next batch
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
    send: Send,
) -> dict[str, StepLosses]:
    """Take one step with every learner, and return its losses, which are on the device yet.

    Args:
        teacher: as for :func:`fit`, as are ``learners``, ``fabric`` and ``diverged``.
        batch: this process's share of the global batch.
        step: the step, from 0.
        parts: that it is computed in, one after the other.
        images: in the global batch.
        clock: charged with the seconds of teacher and learners.
        send: brings a batch to the device.
    """
    for learner in learners:
        with clock.of(learner.name):
            learner.begin(step)  # training mode, the step's learning rate, no gradients

    # The batch: images, labels and valid, the same for all learners.
    batch = send(batch)
    whole = batch if len(parts) > 1 else None

    for number, cut in enumerate(parts):
        last = number + 1 == len(parts)
        part = batch if whole is None else Batch(*(tensor[cut.rows] for tensor in batch))
        inputs = to_float(part.images)

        # The teacher's forward: once, up to the deepest map that a learner asks for.
        with clock.of(None):
            teacher_maps = teach(teacher, inputs, fabric)

        for learner in learners:
            with clock.of(learner.name), computing(Part(cut.places, images, last)):
                learner.seed(step, number, fabric)  # dropout is a function of seed and step
                if whole is not None:
                    learner.adversaries.begin_part(first=number == 0)
                with learner.without_sync(fabric, enabled=not last):
                    # The student's forward, and every term of its objective: the part's share
                    # of the loss of the global batch.
                    losses = learner.forward(inputs, part, teacher_maps, whole)
                    fabric.backward(torch.stack(list(losses.values())).sum())
                learner.add_losses(losses)

                # The critics' gradients, from the maps that the student just met.
                share = len(part.images) / len(batch.images)
                learner.adversaries.backward(fabric, share=share, first=number == 0, last=last)
                del losses  # this learner's graph, before the next makes its own

    # The updates: each student, then its critics and its averaged weights; where a loss is not
    # finite, of this step or of one before, none.
    taken = {}
    for learner in learners:
        with clock.of(learner.name):
            learner.add_losses(learner.adversaries.losses())
            learner.update(fabric)
            learner.update_critics()
            learner.update_average()
            taken[learner.name] = learner.losses
    return taken


@dataclass(frozen=True)
class Unread:
    """A step that was taken, or is being taken yet by a GPU.

    Attributes:
        done: steps finished, this one included.
        losses: by learner.
        clock: of teacher and learners.
        began, ended: of the step.
    """

    done: int
    losses: Mapping[str, StepLosses]
    clock: Clock
    began: Mark
    ended: Mark


def read_losses(
    unread: Sequence[Unread], learners: list[Learner], diverged: Diverged
) -> Iterator[Step]:
    """Yield steps with their losses as numbers, in their order; a GPU is waited for once.

    Args:
        unread: the steps.
        learners: one of which a loss is not finite is taken out, after ``diverged`` was called.
        diverged: see :func:`fit`.
    """
    tensors = [losses.values for taken in unread for losses in taken.losses.values()]
    numbers = iter(torch.cat(tensors).tolist())
    found = [
        {
            learner: dict(zip(losses.names, numbers, strict=False))
            for learner, losses in taken.losses.items()
        }
        for taken in unread
    ]
    for taken, losses in zip(unread, found, strict=True):
        for learner in tuple(learners):
            error = _not_finite(learner, losses[learner.name], taken.done - 1)
            if error is not None:
                diverged(learner, error)
                learners.remove(learner)
        yield Step(
            taken.done,
            {learner.name: losses[learner.name] for learner in learners},
            taken.began.until(taken.ended),
            taken.clock.seconds(None),
            {learner: taken.clock.seconds(learner) for learner in losses},
            latest=taken is unread[-1],
        )


def _not_finite(
    learner: Learner, losses: Mapping[str, float], step: int
) -> TrainingDivergedError | None:
    """Return what to say of the first loss that is not finite, if there is one."""
    for part, value in losses.items():
        if not math.isfinite(value):
            other = "the critic's" if is_critic(part) else "set training.clip_norm"
            return TrainingDivergedError(
                f"learner {learner.name or 'student'}: expected a finite loss, got {part} = "
                f"{value} at step {step}; lower training.lr{'' if is_critic(part) else ','} or "
                f"{other}",
                step=step,
            )
    return None


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
