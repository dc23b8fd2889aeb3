"""The objective: task loss plus weighted distillation losses, every part by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from segdistill.config import LossConfig, TaskConfig
from segdistill.seeding import derive
from segdistill.training.task_loss import TaskLoss, task_loss
from segdistill.training.teacher_labels import with_some_labels, with_teacher_labels
from segdistill.training.term import Term
from segdistill.types import Batch, SegOutput, TapMaps


def minimised(parts: Mapping[str, float]) -> float:
    """Return the sum of a loss's parts without those of critics, which the student minimises.

    Args:
        parts: weighted values by name, those of critics as ``<term>.critic``.
    """
    return sum(value for name, value in parts.items() if not is_critic(name))


def is_critic(part: str) -> bool:
    """Return whether a part of a loss is minimised by a critic rather than by the student."""
    return part.endswith(".critic")


class Objective(nn.Module):
    """The task loss plus the weighted distillation losses.

    Args:
        terms: distillation terms by name.
        task: the task loss; None means cross-entropy.
        auxiliary_weight: see :func:`segdistill.training.task_loss.task_loss`.
        teacher_labels: give terms that need labels the teacher's prediction on unlabelled images;
            see :func:`segdistill.training.teacher_labels.with_teacher_labels`.
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
        """Return every weighted part by name; the student minimises their sum.

        Summing each value over the parts of a batch and averaging over the processes gives its
        value for the whole global batch.

        Args:
            output: the student's output.
            student: the student's maps by tap.
            teacher: the teacher's maps by tap.
            batch: images, labels and valid.
            whole: this process's whole batch if ``batch`` is a part of it; its images are not
                used.
        """
        parts = task_loss(
            output,
            batch.labels,
            loss=self.task,
            whole=whole and whole.labels,
            auxiliary_weight=self.auxiliary_weight,
        )
        given, labelled = (batch, whole), (batch, whole)
        if self.teacher_labels and any(term.uses_labels for term in self.terms.values()):
            filled = with_teacher_labels(batch, teacher["logits"])
            labelled = filled, whole and with_some_labels(whole)
        for name, term in self.terms.items():
            batches = labelled if term.uses_labels else given
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
        """Return the taps that the terms use, without repetition."""
        taps = [tap for term in self.terms.values() for tap in (term.tap, *term.beside)]
        return list(dict.fromkeys(taps))


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
        auxiliary_weight: see :func:`segdistill.training.task_loss.task_loss`.
        label_smoothing: see :class:`segdistill.training.task_loss.TaskLoss`.
        seed: the learner's seed.
        teacher_labels: see :class:`Objective`.
        task: see :class:`segdistill.training.task_loss.TaskLoss`; None means cross-entropy.
        class_weights: see :class:`segdistill.training.task_loss.TaskLoss`.
        classifier: see :class:`segdistill.training.term.Term`.
    """
    terms = {}
    for index, config in enumerate(configs):
        name = config.loss.rpartition(":")[2]  # of a user's own loss, the name of the function
        if name in terms:  # the same loss at another tap
            name = f"{name}_{index}"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "objective", index))
            channels = student_channels[config.tap], teacher_channels[config.tap]
            terms[name] = Term(config, channels, classes, derive(seed, "loss", index), classifier)
    loss = TaskLoss(
        task or TaskConfig(), classes, smoothing=label_smoothing, class_weights=class_weights
    )
    return Objective(
        terms,
        task=loss,
        auxiliary_weight=auxiliary_weight,
        teacher_labels=teacher_labels,
    )
