"""Builds and calls losses of the table with what their rows say they need."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from segdistill.catalogue import tables
from segdistill.catalogue.losses import LOSSES
from segdistill.types import Batch

SMALL: dict[str, Any] = {
    "width": 4,
    "top": 1,
    "pixel_queue": 20,
    "region_queue": 10,
    "pixels": 4,
    "pixel_contrasts": 12,
    "region_contrasts": 7,
    "queue": 30,
    "pushed": 5,
    "contrasts": 8,
    "grid": (2, 3),
}
"""Settings that make queues and critics small enough for a test."""


def small_settings(name: str, channels: int) -> dict[str, Any]:
    """Return settings that make a row's loss small and fit maps with that many channels."""
    settings = LOSSES[name].settings
    small = {key: value for key, value in SMALL.items() if key in settings}
    if "groups" in settings:
        small["groups"] = next(size for size in range(2, channels + 1) if channels % size == 0)
    return small


def build(
    name: str, *, channels: int, classes: int, seed: int = 0, small: bool = True
) -> nn.Module:
    """Return a loss of the table for maps of equal width.

    Its layers are initialised from torch's random state.

    Args:
        name: name in the table.
        channels: number of channels of both maps.
        classes: number of classes.
        seed: seed of its draws.
        small: use settings for tests instead of the table's.
    """
    row = LOSSES[name]
    given = {
        "student_channels": channels,
        "teacher_channels": channels,
        "classes": classes,
        "seed": seed,
    }
    if "classifier" in row.given:
        given["classifier"] = nn.Conv2d(channels, classes, kernel_size=1)  # type: ignore[assignment]
    chosen = {key: given[key] for key in row.given}
    module: nn.Module = tables.load("segdistill.losses", row.target)(
        **chosen, **(small_settings(name, channels) if small else {})
    )
    return module


def prepare(name: str, module: nn.Module, teacher: Tensor, batch: Batch, steps: int) -> None:
    """Run the stage before training, if a loss has one, repeatedly on one batch."""
    row = LOSSES[name]
    given: dict[str, Any] = {}
    if row.prepares_with_labels:
        given["labels"] = lambda step: batch.labels
    if row.prepares:
        module.prepare(lambda step: teacher, steps, **given)  # type: ignore[operator]


def call(
    name: str,
    module: nn.Module,
    student: Tensor,
    teacher: Tensor,
    batch: Batch | None,
    *,
    features: tuple[Tensor, Tensor] | None = None,
) -> Tensor | dict[str, Tensor]:
    """Call a loss.

    Args:
        name: name in the table.
        module: the loss.
        student: map of the student.
        teacher: map of the teacher.
        batch: what the maps were made from; None if the loss can be called without it.
        features: the two maps to pass as ``beside``, also in rectified form; None takes the
            maps that are compared.
    """
    row = LOSSES[name]
    given = () if batch is None else (batch,)
    beside: dict[str, Any] = {}
    if row.beside:
        own, other = features or (student, teacher)
        pairs = [(own, other), (own.clamp_min(0), other.clamp_min(0))]
        beside["beside"] = pairs[: len(row.beside)]
    value: Tensor | dict[str, Tensor] = module(student, teacher, *given, **beside)
    return value
