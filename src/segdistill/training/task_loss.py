"""The task loss, which compares a network's logits and auxiliary logits with the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.catalogue import tables
from segdistill.catalogue.task_losses import TASK_LOSSES
from segdistill.config import TaskConfig
from segdistill.losses.maths.precision import full_precision
from segdistill.types import IGNORE_INDEX, SegOutput
from segdistill.upsampling import at_least


class TaskLoss(nn.Module):
    """The loss of a network's logits against the labels, as configured.

    Args:
        config: the loss and its settings.
        classes: number of classes.
        smoothing: label smoothing of ``cross_entropy``.
        class_weights: weight of each class; None means 1.

    Raises:
        ValueError: the number of weights is not that of classes, or an ignored id is not a class.
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

        The mean is over the labelled positions of the global batch, so that summing over the parts
        of a batch and averaging over the processes gives the loss of the whole batch.

        Args:
            logits: the network's logits, at their own stride.
            labels: int64, 255 where a position has no class.
            whole: the labels of this process's whole batch, if ``labels`` are a part of it;
                None if they are all of it.

        Shape:
            logits ``(N, K, h, w)``; labels ``(N, H, W)``; result ``()``.
        """
        labels, whole = self._masked(labels), self._masked(labels if whole is None else whole)
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

    def _masked(self, labels: Tensor) -> Tensor:
        """Return labels with the ignored classes masked."""
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
    r"""Compute the task loss of the logits and of those of the auxiliary heads, if there are any.

    .. math:: L = \ell(z) + w_{aux} \sum_a \ell(z_a)

    over the auxiliary heads :math:`a`, with the loss :math:`\ell`.

    Args:
        output: the network's output.
        labels: int64, 255 where a position has no class.
        loss: the loss :math:`\ell`; None means cross-entropy.
        whole: see :meth:`TaskLoss.forward`.
        auxiliary_weight: :math:`w_{aux}`; 0.4 as in PSPNet, Zhao et al. 2017.

    Shape:
        logits ``(N, K, h, w)``, labels ``(N, H, W)``; results ``()``.

    Returns:
        The weighted parts ``task`` and, with an auxiliary head, ``auxiliary``; 0 with a
        graph if no position is labelled.
    """
    loss = loss or TaskLoss(TaskConfig(), output.logits.shape[1])
    parts = {"task": loss(output.logits, labels, whole)}
    if output.auxiliary is not None:
        heads = output.auxiliary if isinstance(output.auxiliary, tuple) else (output.auxiliary,)
        terms = [loss(logits, labels, whole) for logits in heads]
        parts["auxiliary"] = auxiliary_weight * torch.stack(terms).sum()
    return parts
