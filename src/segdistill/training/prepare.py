"""The stage before training that some losses have: the autoencoder of knowledge adaptation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import lru_cache

from lightning_fabric import Fabric
from torch import Tensor

from segdistill.data import Stream
from segdistill.losses.maths.positions import valid_labels
from segdistill.models.frozen import FrozenTeacher
from segdistill.training.cohort import teach, to_float
from segdistill.training.learner import Learner
from segdistill.training.objective import Term
from segdistill.types import Batch

After = Callable[[int, int, float, float], None]
"""Called with steps done, steps in all, the loss, and the seconds since the step before."""


def steps_before(stream: Stream) -> int:
    """Return the steps of the stage before training: one epoch, as the paper has it."""
    return math.ceil(stream.steps_per_epoch)


def prepare(
    learner: Learner,
    teacher: FrozenTeacher | None,
    stream: Stream,
    *,
    fabric: Fabric,
    after: After,
    most_steps: int | None = None,
) -> None:
    """Run the first stage of every loss of a learner that has one, for one epoch.

    Every path that trains comes through here. Every process sees the whole batch, so all end
    with the same weights. A stage that was interrupted goes on where the learner's state says.

    Args:
        learner: its losses are changed in place.
        teacher: gives the features; None where no learner asks for any.
        stream: batches by number, from 0.
        fabric: device and precision.
        after: called after each step with steps done, steps in all, the loss and the seconds
            since the step before.
        most_steps: ends the stage sooner, where a step is only tried or measured.
    """
    steps = steps_before(stream)
    if most_steps is not None:
        steps = min(steps, most_steps)
    for term in learner.objective.terms.values():
        if teacher is not None and term.prepares:
            _prepare_term(term, teacher, stream, steps, fabric, after)


def _prepare_term(
    term: Term, teacher: FrozenTeacher, stream: Stream, steps: int, fabric: Fabric, after: After
) -> None:
    began = time.perf_counter()

    @lru_cache(maxsize=1)
    def batch(step: int) -> Batch:
        return Batch(*(fabric.to_device(tensor) for tensor in stream.batch(step)))

    def features(step: int) -> Tensor:
        return teach(teacher, to_float(batch(step).images), fabric)[term.tap]

    def valid(step: int) -> Tensor:
        return batch(step).valid

    def progress(done: int, loss: Tensor) -> None:
        nonlocal began
        now = time.perf_counter()
        after(done, steps, float(loss), now - began)
        began = time.perf_counter()  # a checkpoint is no part of the next step

    def labels(step: int) -> Tensor:
        return valid_labels(batch(step))

    counted = None if term.padding_counts else valid
    given = {"labels": labels} if term.prepares_with_labels else {}
    term.loss.prepare(features, steps, valid=counted, progress=progress, **given)
