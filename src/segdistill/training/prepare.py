"""The stage before training of some losses, such as knowledge adaptation's autoencoder."""

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
from segdistill.training.term import Term
from segdistill.types import Batch

After = Callable[[int, int, float, float], None]
"""Called with steps done, total steps, the loss, and the seconds since the previous step."""


def steps_before(stream: Stream) -> int:
    """Return the steps of the stage before training: one epoch, as in the paper."""
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
    """Run the stage before training of every loss of a learner that has one, for one epoch.

    Every process sees the whole batch, so that all end with the same weights. An interrupted
    stage continues from the learner's state.

    Args:
        learner: the learner, whose losses are changed in place.
        teacher: provides the features; None if no learner needs any.
        stream: batches by number, from 0.
        fabric: device and precision.
        after: called after each step with steps done, total steps, the loss and the seconds
            since the previous step.
        most_steps: maximum number of steps, for trying out or measuring.
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
        began = time.perf_counter()  # a checkpoint does not count for the next step

    def labels(step: int) -> Tensor:
        return valid_labels(batch(step))

    counted = None if term.padding_counts else valid
    named = {"labels": labels} if term.prepares_with_labels else {}
    term.loss.prepare(features, steps, valid=counted, progress=progress, **named)
