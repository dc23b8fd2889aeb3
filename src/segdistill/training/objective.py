"""The objective: task loss plus weighted distillation losses, every part by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.catalogue import tables
from segdistill.catalogue.losses import OWN, row_of
from segdistill.catalogue.task_losses import TASK_LOSSES
from segdistill.config import LossConfig, TaskConfig
from segdistill.losses import Projector, resize_like, standardize_logits
from segdistill.losses.maths.precision import full_precision
from segdistill.losses.own import OwnLoss
from segdistill.own_code import import_own
from segdistill.seeding import derive
from segdistill.training.shares import share_of_part
from segdistill.types import IGNORE_INDEX, Batch, SegOutput, TapMaps
from segdistill.upsampling import argmax_at, at_least


class TaskLoss(nn.Module):
    """The loss of a network's logits against the labels, as the config names it.

    Args:
        config: the loss and its settings.
        classes: number of classes.
        smoothing: label smoothing of ``cross_entropy``.
        class_weights: by class; None stands for 1.

    Raises:
        ValueError: there are not as many weights as classes, or an ignored id is no class.
    """

    weights: Tensor | None
    ignored: Tensor

    def __init__(
        self,
        config: TaskConfig,
        classes: int,
        *,
        smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if class_weights is not None and len(class_weights) != classes:
            raise ValueError(
                f"training.task.class_weights: expected {classes} numbers, one for each class, "
                f"got {len(class_weights)}"
            )
        if any(label >= classes for label in config.ignore):
            raise ValueError(
                f"training.task.ignore: expected class ids below {classes}, "
                f"got {list(config.ignore)}"
            )
        self.config = config
        self.row = TASK_LOSSES[config.loss]
        self.loss = tables.load("segdistill.training.task_losses", self.row.target)
        self.smoothing = smoothing
        # Not in the state: they are a function of config and data.
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("weights", weights, persistent=False)
        ignored = torch.tensor(config.ignore, dtype=torch.int64)
        self.register_buffer("ignored", ignored, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor, whole: Tensor | None = None) -> Tensor:
        """Return the loss of logits, resized to the labels, over labelled positions.

        The mean is over the labelled positions of the global batch: the sum over its parts, and
        the mean over the processes, is that of the batch computed at once.

        Args:
            logits: of the network, at its own stride.
            labels: int64, 255 where a position has no class.
            whole: the labels of this process's whole batch, of which ``labels`` may be a part;
                None where it is all.

        Shape:
            logits ``(N, K, h, w)``; labels ``(N, H, W)``; result ``()``.
        """
        labels, whole = self._taught(labels), self._taught(labels if whole is None else whole)
        if not self.row.resizes:
            (finite,) = full_precision(logits)
            logits = F.interpolate(at_least(finite), size=labels.shape[-2:], mode="bilinear")
        settings: dict[str, Any] = {key: getattr(self.config, key) for key in self.row.settings}
        if self.row.smooths:
            settings["smoothing"] = self.smoothing
        if not self.row.whole_batch:
            settings["whole"] = whole
        value: Tensor = self.loss(logits, labels, weights=self.weights, **settings)
        return self.config.weight * value

    def _taught(self, labels: Tensor) -> Tensor:
        """Return labels without the classes that are left out."""
        if not self.config.ignore:
            return labels
        return labels.masked_fill(torch.isin(labels, self.ignored), IGNORE_INDEX)


def task_loss(
    output: SegOutput,
    labels: Tensor,
    *,
    loss: TaskLoss | None = None,
    whole: Tensor | None = None,
    auxiliary_weight: float = 0.4,
) -> dict[str, Tensor]:
    r"""Task loss of the logits and, where there are any, of those of the auxiliary head.

    .. math:: L = CE(z) + w_{aux} \sum_a CE(z_a)

    over the auxiliary heads :math:`a`.

    Args:
        output: the network's output.
        labels: int64, 255 where a position has no class.
        loss: of logits against labels; None stands for cross-entropy.
        whole: see :meth:`TaskLoss.forward`.
        auxiliary_weight: :math:`w_{aux}`; 0.4 as in PSPNet, Zhao et al. 2017.

    Shape:
        logits ``(N, K, h, w)``, labels ``(N, H, W)``; results ``()``.

    Returns:
        The weighted parts ``task`` and, with an auxiliary head, ``auxiliary``; 0 with a
        graph where no position is labelled.
    """
    loss = loss or TaskLoss(TaskConfig(), output.logits.shape[1])
    parts = {"task": loss(output.logits, labels, whole)}
    if output.auxiliary is not None:
        heads = output.auxiliary if isinstance(output.auxiliary, tuple) else (output.auxiliary,)
        terms = [loss(logits, labels, whole) for logits in heads]
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
    predicted = argmax_at(logits.float(), (size[0], size[1])).to(batch.labels.dtype)
    predicted = predicted.masked_fill(~batch.valid, IGNORE_INDEX)
    without = _without_labels(batch)
    return batch._replace(labels=torch.where(without, predicted, batch.labels))


def _with_some_labels(batch: Batch) -> Batch:
    """Return the batch with labels where :func:`with_teacher_labels` puts any, to be counted."""
    some = torch.zeros_like(batch.labels).masked_fill(~batch.valid, IGNORE_INDEX)
    return batch._replace(labels=torch.where(_without_labels(batch), some, batch.labels))


def _without_labels(batch: Batch) -> Tensor:
    """Return which images have no label at all, ``(N, 1, 1)``."""
    return (batch.labels == IGNORE_INDEX).flatten(start_dim=1).all(dim=1)[:, None, None]


def minimised(parts: Mapping[str, float]) -> float:
    """Return the sum of the parts of a loss, without the critics' own: what the student minimises.

    Args:
        parts: weighted values by name, the critics' as ``<term>.critic``.
    """
    return sum(value for name, value in parts.items() if not is_critic(name))


def is_critic(part: str) -> bool:
    """Return whether a part of a loss is minimised by a critic, not by the student."""
    return part.endswith(".critic")


class Term(nn.Module):
    """One distillation term: a loss between two taps, what aligns them, and its weight.

    Args:
        config: the term as configured.
        channels: channels of the student's and of the teacher's map at the tap.
        classes: number of classes.
        seed: of the term's random draws.
        classifier: the module that makes the student's logits, for a loss that reads its weights.
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
        given = {
            "student_channels": student,
            "teacher_channels": teacher,
            "classes": classes,
            "seed": seed,
            "classifier": classifier,
        }
        if config.loss.startswith(OWN):
            target = import_own(config.loss, "loss")
            own = OwnLoss(target, config.settings(), given, who=f"loss {config.loss}")
            # What it did not ask for, it need not get.
            self.uses_labels = bool({"labels", "batch"} & set(own.asks))
            self.loss: Any = own
        else:
            self.loss = tables.load("segdistill.losses", row.target)(
                **{name: given[name] for name in row.given}, **config.settings()
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
            teacher: the teacher's.
            batch: their images, labels and valid.
            whole: the batch that these are a part of, of which the result is a share; None where
                they are all of it.
            beside: further maps of both, for a loss that reads any.
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
        """Return two maps of one size, where the config says which is resized."""
        if self.align == "student":
            student = resize_like(student, teacher)
        elif self.align == "teacher":
            teacher = resize_like(teacher, student)
        return student, teacher

    def _share(self, name: str, batch: Batch, whole: Batch, size: tuple[int, ...]) -> Tensor:
        over = self.mean_over if isinstance(self.mean_over, str) else self.mean_over[name]
        return share_of_part(over, batch, whole, size)

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
        task: loss of the logits against the labels; None stands for cross-entropy.
        auxiliary_weight: see :func:`task_loss`.
        teacher_labels: give the terms that need labels the teacher's prediction on images that
            have none; see :func:`with_teacher_labels`.
    """

    def __init__(
        self,
        terms: Mapping[str, Term],
        *,
        task: TaskLoss | None = None,
        auxiliary_weight: float = 0.4,
        teacher_labels: bool = False,
    ) -> None:
        super().__init__()
        self._terms = nn.ModuleDict(terms)
        self.auxiliary_weight = auxiliary_weight
        self.task = task
        self.teacher_labels = teacher_labels

    def forward(
        self,
        output: SegOutput,
        student: TapMaps,
        teacher: TapMaps,
        batch: Batch,
        whole: Batch | None = None,
    ) -> dict[str, Tensor]:
        """Return every weighted part by name; their sum is what is minimised.

        The global batch is the unit. Summed over the parts that a batch is computed in, and as a
        mean over the processes, each is the value of the batch computed at once.

        Args:
            output: the student's output.
            student: the student's maps by tap.
            teacher: the teacher's maps by tap.
            batch: labels, and what the losses of the terms need.
            whole: this process's whole batch where ``batch`` is a part of it; its images are
                not looked at.
        """
        parts = task_loss(
            output,
            batch.labels,
            loss=self.task,
            whole=whole and whole.labels,
            auxiliary_weight=self.auxiliary_weight,
        )
        seen, labelled = (batch, whole), (batch, whole)
        if self.teacher_labels and any(term.uses_labels for term in self.terms.values()):
            given = with_teacher_labels(batch, teacher["logits"])
            labelled = given, whole and _with_some_labels(whole)
        for name, term in self.terms.items():
            batches = labelled if term.uses_labels else seen
            beside = [(student[tap], teacher[tap]) for tap in term.beside]
            value = term(student[term.tap], teacher[term.tap], *batches, beside)
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
        every = [tap for term in self.terms.values() for tap in (term.tap, *term.beside)]
        return list(dict.fromkeys(every))


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
    task: TaskConfig | None = None,
    class_weights: Sequence[float] | None = None,
    classifier: nn.Module | None = None,
) -> Objective:
    """Build the objective of one learner; weights and draws come from the seed.

    Args:
        configs: the distillation terms.
        student_channels: channels of the student's maps by tap.
        teacher_channels: channels of the teacher's maps by tap.
        classes: number of classes.
        auxiliary_weight: see :func:`task_loss`.
        label_smoothing: see :class:`TaskLoss`.
        seed: the learner's seed.
        teacher_labels: see :class:`Objective`.
        task: see :class:`TaskLoss`; None stands for cross-entropy.
        class_weights: see :class:`TaskLoss`.
        classifier: see :class:`Term`.
    """
    terms = {}
    for place, config in enumerate(configs):
        name = config.loss.rpartition(":")[2]  # of own code, the function's
        if name in terms:  # the same loss at another tap
            name = f"{name}_{place}"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "objective", place))
            channels = student_channels[config.tap], teacher_channels[config.tap]
            terms[name] = Term(config, channels, classes, derive(seed, "loss", place), classifier)
    loss = TaskLoss(
        task or TaskConfig(), classes, smoothing=label_smoothing, class_weights=class_weights
    )
    return Objective(
        terms,
        task=loss,
        auxiliary_weight=auxiliary_weight,
        teacher_labels=teacher_labels,
    )
