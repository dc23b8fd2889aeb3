"""Turns what the user names into a loss that can be checked against the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segdistill.catalogue.losses import LOSSES
from segdistill.checks import nearest
from segdistill.errors import ConfigError
from segdistill.losses.own import OwnLoss
from segdistill.own_code import import_own, load_own
from segdistill.testing import rows
from segdistill.testing.contract import CHECKS, Subject
from segdistill.trust import CODE
from segdistill.types import Batch

SAME_MAP, POSITIONS, IMAGES = "0 for the same map", "a mean over positions", "a mean over images"

WAIVED: dict[str, dict[str, str]] = {
    "holistic": {
        SAME_MAP: "a critic's score has no lowest value",
        POSITIONS: "a critic's score may be anything",
    },
    "attention": {POSITIONS: "as published: unit vectors over positions, and a mean over them"},
    "affinity": {POSITIONS: "as published: a sum over rows, each divided by the positions"},
    "masked_generation": {
        SAME_MAP: "layers that have learnt nothing generate the map",
        IMAGES: "it draws for each image",
    },
    "contrast_groups": {
        SAME_MAP: "layers that have learnt nothing generate the map",
        IMAGES: "it draws for each image",
    },
    "diffusion": {
        SAME_MAP: "layers that have learnt nothing mix the student's map with noise",
        IMAGES: "it draws for each image",
    },
    "knowledge_adaptation": {SAME_MAP: "adapter and encoder are different layers"},
    "adaptive_cross_entropy": {SAME_MAP: "a cross-entropy, not a divergence"},
    "hard_labels": {SAME_MAP: "a cross-entropy, not a divergence"},
    "feature_augmentation": {SAME_MAP: "the student's logits are augmented"},
    "perspective": {SAME_MAP: "the adapter's classifier has learnt nothing"},
    "position_prediction": {SAME_MAP: "the two convolutions are different layers"},
    "channel_memory": {IMAGES: "it draws channels of the batch"},
}
"""Checks that are not meant to hold for certain losses of the table, with the reason."""


def subject_of(
    loss: str | Callable[..., Any],
    settings: Mapping[str, Any],
    channels: int,
    classes: int,
    waive: Iterable[str],
) -> Subject:
    """Return the subject.

    The arguments and errors are those of :func:`segdistill.testing.check_loss`.
    """
    waived = {}
    for name in waive:
        if name not in CHECKS:
            raise ConfigError(f"check loss: there is no check '{name}'; {nearest(name, CHECKS)}")
        waived[name] = "waived"
    if isinstance(loss, str) and loss in LOSSES:
        return _of_row(loss, settings, channels, classes, waived)
    target, who = _target(loss)
    given = {
        "student_channels": channels,
        "teacher_channels": channels,
        "classes": classes,
        "seed": 0,
        "classifier": nn.Conv2d(channels, classes, kernel_size=1),
    }

    def make() -> nn.Module:
        torch.manual_seed(0)
        return OwnLoss(target, settings, given, who=who)

    def call(
        module: nn.Module, student: Tensor, teacher: Tensor, batch: Batch
    ) -> Tensor | dict[str, Tensor]:
        beside = [(student, teacher), (student.clamp_min(0), teacher.clamp_min(0))]
        value: Tensor | dict[str, Tensor] = module(student, teacher, batch, beside=beside)
        return value

    make()  # a loss that cannot be built is refused here, before any check
    return Subject(who, make, call, channels, classes, waived=waived)


def _of_row(
    name: str, settings: Mapping[str, Any], channels: int, classes: int, waived: Mapping[str, str]
) -> Subject:
    row = LOSSES[name]
    if settings:
        raise ConfigError(f"check loss {name}: expected no settings of a loss of segdistill")
    width = classes if row.tap == "logits" else channels

    def make() -> nn.Module:
        torch.manual_seed(0)
        module = rows.build(name, channels=width, classes=classes)
        if row.prepares:
            generator = torch.Generator().manual_seed(2)
            teacher = torch.randn(2, width, 6, 10, generator=generator)
            labels = torch.randint(0, classes, (2, 6, 10), generator=generator)
            images = torch.zeros(2, 3, 6, 10, dtype=torch.uint8)
            rows.prepare(name, module, teacher, Batch(images, labels, labels >= 0), 1)
        return module

    def call(
        module: nn.Module, student: Tensor, teacher: Tensor, batch: Batch
    ) -> Tensor | dict[str, Tensor]:
        return rows.call(name, module, student, teacher, batch)

    return Subject(name, make, call, width, classes, waived={**WAIVED.get(name, {}), **waived})


def _target(loss: str | Callable[..., Any]) -> tuple[Callable[..., Any], str]:
    if not isinstance(loss, str):
        return loss, f"loss {getattr(loss, '__name__', loss)}"
    if loss.startswith(CODE):
        return import_own(loss, "loss"), f"loss {loss}"
    file, colon, attribute = loss.rpartition(":")
    if not colon:
        answer = nearest(loss, LOSSES)
        raise ConfigError(
            f"check loss: expected FILE.py:NAME, import:package.module:NAME or a loss of "
            f"segdistill, got '{loss}'; {answer}"
        )
    if file.endswith(".py"):
        return load_own(Path(file), attribute, "loss"), f"loss {loss}"
    return import_own(loss, "loss"), f"loss {loss}"
