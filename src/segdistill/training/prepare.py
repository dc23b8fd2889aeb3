"""The stage before training that some losses have: the autoencoder of knowledge adaptation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from lightning_fabric import Fabric
from torch import Tensor

from segdistill.data import Stream
from segdistill.models.frozen import FrozenTeacher
from segdistill.training.cohort import teach, to_float
from segdistill.training.learner import Learner


def prepare(
    learner: Learner,
    teacher: FrozenTeacher,
    stream: Stream,
    *,
    fabric: Fabric,
    after: Callable[[int, int, float, float], None],
) -> None:
    """Run the first stage of every loss of a learner that has one, for one epoch.

    Every process sees the whole batch here, so all end with the same weights. A stage that
    was interrupted goes on where the learner's state says.

    Args:
        learner: its losses are changed in place.
        teacher: gives the features.
        stream: batches by number, from 0.
        fabric: device and precision.
        after: called after each step with steps done, steps in all, the loss and the seconds
            since the step before.
    """
    steps = math.ceil(stream.steps_per_epoch)
    for term in learner.objective.terms.values():
        if not term.prepares:
            continue
        tap, began = term.tap, time.perf_counter()

        def features(step: int, tap: str = tap) -> Tensor:
            images = to_float(fabric.to_device(stream.batch(step).images))
            return teach(teacher, images, fabric)[tap].float()

        def progress(done: int, loss: Tensor) -> None:
            nonlocal began
            now = time.perf_counter()
            after(done, steps, float(loss), now - began)
            began = time.perf_counter()  # a checkpoint is no part of the next step

        term.loss.prepare(features, steps, progress=progress)
