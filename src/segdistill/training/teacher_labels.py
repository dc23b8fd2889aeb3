"""The teacher's predictions as labels of the images that have none."""

from __future__ import annotations

import torch
from torch import Tensor

from segdistill.types import IGNORE_INDEX, Batch
from segdistill.upsampling import argmax_at


def with_teacher_labels(batch: Batch, logits: Tensor) -> Batch:
    """Return the batch with the teacher's classes as labels of the unlabelled images.

    Args:
        batch: images, labels and valid.
        logits: the teacher's logits, at their own stride.

    Shape:
        logits ``(N, K, h, w)``.
    """
    size = batch.labels.shape[-2:]
    predicted = argmax_at(logits.float(), (size[0], size[1])).to(batch.labels.dtype)
    predicted = predicted.masked_fill(~batch.valid, IGNORE_INDEX)
    without = _without_labels(batch)
    return batch._replace(labels=torch.where(without, predicted, batch.labels))


def with_some_labels(batch: Batch) -> Batch:
    """Return the batch with class 0 wherever :func:`with_teacher_labels` adds a label.

    That is enough to count the labelled positions of a batch without the teacher's logits.
    """
    some = torch.zeros_like(batch.labels).masked_fill(~batch.valid, IGNORE_INDEX)
    return batch._replace(labels=torch.where(_without_labels(batch), some, batch.labels))


def _without_labels(batch: Batch) -> Tensor:
    """Return which images have no label at all, ``(N, 1, 1)``."""
    return (batch.labels == IGNORE_INDEX).flatten(start_dim=1).all(dim=1)[:, None, None]
