"""The objective: task loss plus weighted distillation losses, every part by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.catalogue import tables
from segdistill.catalogue.losses import LOSSES
from segdistill.config import LossConfig
from segdistill.losses import Projector, resize_like
from segdistill.seeding import derive
from segdistill.types import IGNORE_INDEX, Batch, SegOutput, TapMaps


def task_loss(
    output: SegOutput, labels: Tensor, *, auxiliary_weight: float = 0.4, smoothing: float = 0.0
) -> dict[str, Tensor]:
    r"""Cross-entropy of the logits, resized to the labels, over labelled positions.

    .. math:: L = CE(z) + w_{aux} \sum_a CE(z_a)

    over the auxiliary heads :math:`a`.

    Args:
        output: the network's output.
        labels: int64, 255 where a position has no class.
        auxiliary_weight: :math:`w_{aux}`; 0.4 as in PSPNet, Zhao et al. 2017.
        smoothing: label smoothing, as in :func:`torch.nn.functional.cross_entropy`.

    Shape:
        logits ``(N, K, h, w)``, labels ``(N, H, W)``; results ``()``.

    Returns:
        The weighted parts ``task`` and, with an auxiliary head, ``auxiliary``; 0 with a
        graph where no position is labelled.
    """
    parts = {"task": _cross_entropy(output.logits, labels, smoothing)}
    if output.auxiliary is not None:
        heads = output.auxiliary if isinstance(output.auxiliary, tuple) else (output.auxiliary,)
        terms = [_cross_entropy(logits, labels, smoothing) for logits in heads]
        parts["auxiliary"] = auxiliary_weight * torch.stack(terms).sum()
    return parts


def with_teacher_labels(batch: Batch, logits: Tensor) -> Batch:
    """Return the batch with the teacher's classes as labels of the images that have none.

    Args:
        batch: images, labels and valid.
        logits: of the teacher, at its own stride.

    Shape:
        logits ``(N, K, h, w)``.
    """
    size = batch.labels.shape[-2:]
    predicted = F.interpolate(logits.float(), size=size, mode="bilinear").argmax(dim=1)
    predicted = predicted.masked_fill(~batch.valid, IGNORE_INDEX)
    without = (batch.labels == IGNORE_INDEX).flatten(start_dim=1).all(dim=1)
    return batch._replace(labels=torch.where(without[:, None, None], predicted, batch.labels))


def _cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    logits = F.interpolate(logits.float(), size=labels.shape[-2:], mode="bilinear")
    total = F.cross_entropy(
        logits, labels, ignore_index=IGNORE_INDEX, label_smoothing=smoothing, reduction="sum"
    )
    return total / (labels != IGNORE_INDEX).sum().clamp(min=1)


class Term(nn.Module):
    """One distillation term: a loss between two taps, what aligns them, and its weight.

    Args:
        config: the term as configured.
        channels: channels of the student's and of the teacher's map at the tap.
        classes: number of classes.
        seed: of the term's random draws.
    """

    def __init__(
        self, config: LossConfig, channels: tuple[int, int], classes: int, seed: int
    ) -> None:
        super().__init__()
        row = LOSSES[config.loss]
        student, teacher = channels
        self.tap = config.tap
        self.weight = config.weight
        self.align = config.align
        self.padding_counts = config.padding == "counted"
        self.uses_labels = row.uses_labels
        self.adversarial = row.adversarial
        self.prepares = row.prepares
        self.projector: nn.Module | None = None
        self.inserted: str | None = None
        if student != teacher and config.project != "none":
            self.projector = Projector(config.project, student, teacher)
            self.inserted = f"{config.project} projector from {student} to {teacher} channels"
            student = teacher
        given = {
            "student_channels": student,
            "teacher_channels": teacher,
            "classes": classes,
            "seed": seed,
        }
        self.loss = tables.load("segdistill.losses", row.target)(
            **{name: given[name] for name in row.given}, **config.settings()
        )
        self._compared: tuple[Tensor, Tensor, Batch] | None = None

    def forward(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor | dict[str, Tensor]:
        """Return the unweighted loss, or its parts by name."""
        if self.padding_counts:
            batch = batch._replace(valid=torch.ones_like(batch.valid))
        if self.projector is not None:
            student = self.projector(student)
        if student.shape[-2:] != teacher.shape[-2:]:
            if self.align == "student":
                student = resize_like(student, teacher)
            elif self.align == "teacher":
                teacher = resize_like(teacher, student)
        if self.adversarial:
            self._compared = student.detach(), teacher, batch
        value: Tensor | dict[str, Tensor] = self.loss(student, teacher, batch)
        return value

    def compared(self) -> tuple[Tensor, Tensor, Batch]:
        """Return, once, the maps and the batch of the last forward, for a critic to see."""
        if self._compared is None:
            raise RuntimeError(f"term {self.tap}: expected a forward before its critic's step")
        compared, self._compared = self._compared, None
        return compared


class Objective(nn.Module):
    """Task loss + Σ weight · loss.

    Args:
        terms: distillation terms by name.
        auxiliary_weight: see :func:`task_loss`.
        label_smoothing: see :func:`task_loss`.
        teacher_labels: give the terms that need labels the teacher's prediction on images that
            have none; see :func:`with_teacher_labels`.
    """

    def __init__(
        self,
        terms: Mapping[str, Term],
        *,
        auxiliary_weight: float = 0.4,
        label_smoothing: float = 0.0,
        teacher_labels: bool = False,
    ) -> None:
        super().__init__()
        self._terms = nn.ModuleDict(terms)
        self.auxiliary_weight = auxiliary_weight
        self.label_smoothing = label_smoothing
        self.teacher_labels = teacher_labels

    def forward(
        self, output: SegOutput, student: TapMaps, teacher: TapMaps, batch: Batch
    ) -> dict[str, Tensor]:
        """Return every weighted part by name; their sum is what is minimised.

        Args:
            output: the student's output.
            student: the student's maps by tap.
            teacher: the teacher's maps by tap.
            batch: labels, and what the losses of the terms need.
        """
        parts = task_loss(
            output,
            batch.labels,
            auxiliary_weight=self.auxiliary_weight,
            smoothing=self.label_smoothing,
        )
        labelled = batch
        if self.teacher_labels and any(term.uses_labels for term in self.terms.values()):
            labelled = with_teacher_labels(batch, teacher["logits"])
        for name, term in self.terms.items():
            seen = labelled if term.uses_labels else batch
            value = term(student[term.tap], teacher[term.tap], seen)
            if isinstance(value, dict):
                parts |= {f"{name}.{part}": term.weight * loss for part, loss in value.items()}
            else:
                parts[name] = term.weight * value
        return parts

    @property
    def terms(self) -> dict[str, Term]:
        """The terms by name."""
        return {name: term for name, term in self._terms.items() if isinstance(term, Term)}

    def taps(self) -> list[str]:
        """Return the taps that the terms read, each once."""
        return list(dict.fromkeys(term.tap for term in self.terms.values()))


def build_objective(
    configs: Sequence[LossConfig],
    *,
    student_channels: Mapping[str, int],
    teacher_channels: Mapping[str, int],
    classes: int,
    auxiliary_weight: float,
    label_smoothing: float,
    seed: int,
    teacher_labels: bool = False,
) -> Objective:
    """Build the objective of one learner; weights and draws come from the seed.

    Args:
        configs: the distillation terms.
        student_channels: channels of the student's maps by tap.
        teacher_channels: channels of the teacher's maps by tap.
        classes: number of classes.
        auxiliary_weight: see :func:`task_loss`.
        label_smoothing: see :func:`task_loss`.
        seed: the learner's seed.
        teacher_labels: see :class:`Objective`.
    """
    terms = {}
    for place, config in enumerate(configs):
        name = config.loss
        if name in terms:  # the same loss at another tap
            name = f"{config.loss}_{place}"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "objective", place))
            channels = student_channels[config.tap], teacher_channels[config.tap]
            terms[name] = Term(config, channels, classes, derive(seed, "loss", place))
    return Objective(
        terms,
        auxiliary_weight=auxiliary_weight,
        label_smoothing=label_smoothing,
        teacher_labels=teacher_labels,
    )
