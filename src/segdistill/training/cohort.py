"""The training loop: one batch, one teacher forward, then one step of every learner."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

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
from segdistill.training.teacher_cache import TeacherCache
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
        latest: whether the learners are in the state after this step. Of several steps that are
            read at once, only the last is.
    """

    done: int
    losses: Mapping[str, Mapping[str, float]]
    seconds: float
    teacher_seconds: float
    learner_seconds: Mapping[str, float]
    latest: bool = True


Diverged = Callable[[Learner, TrainingDivergedError], None]


def stop(learner: Learner, error: TrainingDivergedError) -> None:
    """End the whole cohort when a learner diverges."""
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
    cache: TeacherCache | None = None,
    steps: int,
    start: int = 0,
    workers: int = 0,
    accumulate: int = 1,
    reads: Callable[[int], bool] = every_step,
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
        cache: the teacher's maps of earlier runs, read instead of running it and completed.
        steps: number of the step at which to end.
        start: number of steps finished before, when a run resumes.
        workers: number of loader processes.
        accumulate: number of parts in which each batch is computed to save memory. Losses and
            gradients are those of the global batch; batch norm sees one part at a time.
        reads: whether to read the losses from the device after a step, by steps finished. Each
            reading waits for a GPU to finish; the last step is always read.
        after: called for each step when its losses have been read; training ends early if it
            returns False.
        diverged: called when a loss of a learner is not finite, before the learner leaves. Its
            weights have not been updated since that step, however late the loss is read. It may
            raise to end the training of all.

    Raises:
        TrainingDivergedError: from ``diverged``.
    """
    batches = stream.loader(
        start, steps, workers=workers, rank=fabric.global_rank, world=fabric.world_size
    )
    parts = cut(places_of(stream, fabric), accumulate)
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
            cache=cache,
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
        began = Mark(fabric.device)  # scores and checkpoints do not count for the next batch
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
    cache: TeacherCache | None,
) -> dict[str, StepLosses]:
    """Take one step with every learner, and return its losses, which are still on the device.

    Args:
        teacher: as for :func:`fit`, as are ``learners`` and ``fabric``.
        batch: this process's share of the global batch.
        step: the step, from 0.
        parts: the parts in which it is computed, in order.
        images: number of images in the global batch.
        clock: counts the seconds of teacher and learners.
        send: moves a batch to the device.
        cache: as for :func:`fit`.
    """
    for learner in learners:
        with clock.of(learner.name):
            learner.begin(step)  # training mode, the step's learning rate, no gradients

    # The batch: images, labels and valid, the same for all learners.
    cached = None if cache is None else cache.batch(step, batch.images, fabric.global_rank)
    batch = send(batch)
    whole = batch if len(parts) > 1 else None

    for number, cut in enumerate(parts):
        last = number + 1 == len(parts)
        part = batch if whole is None else Batch(*(tensor[cut.rows] for tensor in batch))
        inputs = to_float(part.images)

        # The teacher's forward: once, up to the deepest map that a learner needs, or read.
        with clock.of(None):
            run_teacher = partial(teach, teacher, inputs, fabric)
            teacher_maps = cached.maps(run_teacher, number) if cached else run_teacher()

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

                # The critics' gradients, from the maps just compared.
                share = len(part.images) / len(batch.images)
                learner.adversaries.backward(fabric, share=share, first=number == 0, last=last)
                del losses  # frees this learner's graph before the next one is made

    # The updates: each student, then its critics and its averaged weights. None happens once a
    # loss has not been finite.
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
    """A step whose losses have not been read; a GPU may still be computing it.

    Attributes:
        done: number of steps finished, including this one.
        losses: losses by learner.
        clock: the seconds of teacher and learners.
        began, ended: start and end of the step.
    """

    done: int
    losses: Mapping[str, StepLosses]
    clock: Clock
    began: Mark
    ended: Mark


def read_losses(
    unread: Sequence[Unread], learners: list[Learner], diverged: Diverged
) -> Iterator[Step]:
    """Yield steps with their losses as numbers, in order, waiting for a GPU once.

    Args:
        unread: the steps.
        learners: a learner with a loss that is not finite is removed, after a call of
            ``diverged``.
        diverged: see :func:`fit`.
    """
    tensors = [losses.values for taken in unread for losses in taken.losses.values()]
    numbers = iter(torch.cat(tensors).tolist())
    by_learner = [
        {
            learner: dict(zip(losses.names, numbers, strict=False))
            for learner, losses in taken.losses.items()
        }
        for taken in unread
    ]
    for taken, losses in zip(unread, by_learner, strict=True):
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
    """Return the error about the first loss that is not finite, if there is one."""
    for part, value in losses.items():
        if not math.isfinite(value):
            other = " or the critic's rate" if is_critic(part) else ", or set training.clip_norm"
            return TrainingDivergedError(
                f"learner {learner.name or 'student'}: expected a finite loss, got {part} = "
                f"{value} at step {step}; lower training.lr{other}",
                step=step,
            )
    return None


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


def places_of(stream: Stream, fabric: Fabric) -> Places:
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
