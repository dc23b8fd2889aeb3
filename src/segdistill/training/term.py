"""One distillation term: a loss between a map of the student and one of the teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from segdistill.catalogue import tables
from segdistill.catalogue.losses import OWN, row_of
from segdistill.config import LossConfig
from segdistill.losses import Projector, resize_like, standardize_logits
from segdistill.losses.own import OwnLoss
from segdistill.own_code import import_own
from segdistill.training.shares import share_of_part
from segdistill.types import Batch


class Term(nn.Module):
    """One distillation term: a loss between two maps, how they are aligned, and its weight.

    Args:
        config: the configuration of the term.
        channels: channels of the student's and of the teacher's map at the tap.
        classes: number of classes.
        seed: seed of the term's random draws.
        classifier: the layer that computes the student's logits, for losses that use its weights.
    """

    def __init__(
        self,
        config: LossConfig,
        channels: tuple[int, int],
        classes: int,
        seed: int,
        classifier: nn.Module | None = None,
    ) -> None:
        super().__init__()
        row = row_of(config.loss)
        student, teacher = channels
        self.tap = config.tap
        self.beside = config.beside
        self.weight = config.weight
        self.align = config.align
        self.padding_counts = config.padding == "counted"
        self.standardize = config.standardize
        self.uses_labels = row.uses_labels
        self.adversarial = row.adversarial
        self.prepares = row.prepares
        self.prepares_with_labels = row.prepares_with_labels
        self.mean_over = row.mean_over
        self.projector: nn.Module | None = None
        self.inserted: str | None = None
        if student != teacher and config.project != "none":
            self.projector = Projector(config.project, student, teacher)
            self.inserted = f"{config.project} projector from {student} to {teacher} channels"
            student = teacher
        available = {
            "student_channels": student,
            "teacher_channels": teacher,
            "classes": classes,
            "seed": seed,
            "classifier": classifier,
        }
        if config.loss.startswith(OWN):
            target = import_own(config.loss, "loss")
            own = OwnLoss(target, config.settings(), available, who=f"loss {config.loss}")
            # It needs labels only if it asks for them.
            self.uses_labels = bool({"labels", "batch"} & set(own.asks))
            self.loss: Any = own
        else:
            self.loss = tables.load("segdistill.losses", row.target)(
                **{name: available[name] for name in row.given}, **config.settings()
            )
        self._compared: tuple[Tensor, Tensor, Batch] | None = None

    def forward(
        self,
        student: Tensor,
        teacher: Tensor,
        batch: Batch,
        whole: Batch | None = None,
        beside: Sequence[tuple[Tensor, Tensor]] = (),
    ) -> Tensor | dict[str, Tensor]:
        """Return the unweighted loss, or its parts by name.

        Args:
            student: the student's map.
            teacher: the teacher's map.
            batch: images, labels and valid of these maps.
            whole: the whole batch if these are a part of it, so that the result is a share of the
                loss of the whole; None if they are all of it.
            beside: further pairs of maps, for losses that use them.
        """
        if self.padding_counts:
            batch = batch._replace(valid=torch.ones_like(batch.valid))
            whole = whole and whole._replace(valid=torch.ones_like(whole.valid))
        if self.projector is not None:
            student = self.projector(student)
        student, teacher = self._aligned(student, teacher)
        if self.standardize:
            student, teacher = standardize_logits(student), standardize_logits(teacher)
        if self.adversarial:
            self._compared = student.detach(), teacher, batch
        further = {"beside": [self._aligned(*pair) for pair in beside]} if self.beside else {}
        value: Tensor | dict[str, Tensor] = self.loss(student, teacher, batch, **further)
        if whole is None:
            return value
        size = tuple(student.shape[-2:])
        if not isinstance(value, dict):
            return value * self._share("", batch, whole, size)
        return {name: part * self._share(name, batch, whole, size) for name, part in value.items()}

    def _aligned(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Return two maps of equal size, one of them resized as configured."""
        if self.align == "student":
            student = resize_like(student, teacher)
        elif self.align == "teacher":
            teacher = resize_like(teacher, student)
        return student, teacher

    def _share(self, name: str, batch: Batch, whole: Batch, size: tuple[int, ...]) -> Tensor:
        over = self.mean_over if isinstance(self.mean_over, str) else self.mean_over[name]
        return share_of_part(over, batch, whole, size)

    def compared(self) -> tuple[Tensor, Tensor, Batch]:
        """Return the maps and the batch of the last forward to the critic, once."""
        if self._compared is None:
            raise RuntimeError(f"term {self.tap}: expected a forward before its critic's step")
        compared, self._compared = self._compared, None
        return compared
