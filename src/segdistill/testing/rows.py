"""Losses of the table built and called with what their rows say that they need."""

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
    """Return the settings of a row that make it small, and fit maps of so many channels."""
    settings = LOSSES[name].settings
    small = {key: value for key, value in SMALL.items() if key in settings}
    if "groups" in settings:
        small["groups"] = next(size for size in range(2, channels + 1) if channels % size == 0)
    return small


def build(
    name: str, *, channels: int, classes: int, seed: int = 0, small: bool = True
) -> nn.Module:
    """Return a loss of the table for maps of equal width; its layers draw from torch.

    Args:
        name: in the table.
        channels: of both maps.
        classes: number of classes.
        seed: of its draws.
        small: with settings for tests, else with the table's.
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
    """Run the stage before training, where a loss has one, on one batch again and again."""
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
        name: in the table.
        module: the loss.
        student: map of the student.
        teacher: map of the teacher.
        batch: what the maps were made from; None where the loss has a form without.
        features: the two maps beside, which then come rectified as well; None for the maps
            that are compared.
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
