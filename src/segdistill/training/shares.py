"""The share of one part of an accumulated batch in a loss over the whole batch.

A loss is a mean over positions or images. Weighting each part's mean by the part's share of them
makes the sum over the parts equal to the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from segdistill.catalogue.losses import MeanOver
from segdistill.losses import resize_labels, resize_valid
from segdistill.losses.local_similarity import count_pairs
from segdistill.losses.maths.gather import sum_over_processes
from segdistill.losses.maths.positions import valid_labels
from segdistill.types import IGNORE_INDEX, Batch

Size = tuple[int, ...]


def share_of_part(of: MeanOver, part: Batch, whole: Batch, size: Size) -> Tensor:
    """Return the share of the positions or images of a batch that are in one of its parts.

    Args:
        of: what the loss is a mean over; see :class:`segdistill.catalogue.losses.Loss`.
        part: the part of the batch, as the loss sees it.
        whole: this process's whole batch.
        size: height and width of the maps that the loss compares.

    Returns:
        The share from 0 to 1 in the batch of all processes; 0 if nothing counts.
    """
    count = _COUNTS[of]
    counts = torch.stack([count(part, size), count(whole, size)]).to(torch.float32)
    of_part, of_whole = sum_over_processes(counts).unbind()
    return of_part / of_whole.clamp_min(1)


def _positions(batch: Batch, size: Size) -> Tensor:
    return resize_valid(batch.valid, size).sum()


def _labelled(batch: Batch, size: Size) -> Tensor:
    return (resize_labels(valid_labels(batch), size) != IGNORE_INDEX).sum()


def _images(batch: Batch, size: Size) -> Tensor:
    return resize_valid(batch.valid, size).flatten(start_dim=1).any(dim=1).sum()


def _neighbours(batch: Batch, size: Size) -> Tensor:
    return (count_pairs(resize_valid(batch.valid, size)[:, None]) > 0).sum()


def _all(batch: Batch, size: Size) -> Tensor:
    return torch.tensor(len(batch.valid), device=batch.valid.device)


_COUNTS: Mapping[MeanOver, Callable[[Batch, Size], Tensor]] = {
    "positions": _positions,
    "labelled": _labelled,
    "images": _images,
    "neighbours": _neighbours,
    "all": _all,
}
