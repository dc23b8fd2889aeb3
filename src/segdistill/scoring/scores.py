"""Scores of a segmentation, all functions of the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """Every score of one confusion matrix.

    Attributes:
        miou: see :func:`miou`.
        miou_ground_truth_classes: see :func:`miou_ground_truth_classes`.
        pixel_accuracy: see :func:`pixel_accuracy`.
        mean_accuracy: see :func:`mean_accuracy`.
        frequency_weighted_iou: see :func:`frequency_weighted_iou`.
        iou: intersection over union by class name, None if the class is absent.
        absent_classes: names of the classes that occur in neither labels nor predictions; they
            are left out of ``miou``.
    """

    miou: float
    miou_ground_truth_classes: float
    pixel_accuracy: float
    mean_accuracy: float
    frequency_weighted_iou: float
    iou: dict[str, float | None]
    absent_classes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as JSON values."""
        return asdict(self) | {"absent_classes": list(self.absent_classes)}


def score(counts: Tensor, names: Sequence[str]) -> Scores:
    """Return every score of a confusion matrix, with the classes by name.

    Args:
        counts: see :class:`segdistill.scoring.confusion.ConfusionMatrix`.
        names: class names in the order of their ids.

    Shape:
        counts ``(K, K)``, rows are the labels.

    Raises:
        ValueError: the matrix is not square, holds negative or no counts, or has another
            number of classes than there are names.
    """
    _check("score", counts)
    if len(names) != len(counts):
        raise ValueError(
            f"score: expected {len(counts)} names, one per class of the matrix, got {len(names)}; "
            "give the names of the dataset that was counted"
        )
    ious = iou_by_class(counts).tolist()
    iou = {name: None if value != value else value for name, value in zip(names, ious, strict=True)}
    return Scores(
        miou=miou(counts),
        miou_ground_truth_classes=miou_ground_truth_classes(counts),
        pixel_accuracy=pixel_accuracy(counts),
        mean_accuracy=mean_accuracy(counts),
        frequency_weighted_iou=frequency_weighted_iou(counts),
        iou=iou,
        absent_classes=tuple(name for name, value in iou.items() if value is None),
    )


def iou_by_class(counts: Tensor) -> Tensor:
    r"""Return the intersection over union (Jaccard index) of each class.

    .. math:: \text{IoU}_k = \frac{M_{kk}}{\sum_b M_{kb} + \sum_a M_{ak} - M_{kk}}

    Args:
        counts: confusion matrix, rows are the labels.

    Shape:
        counts ``(K, K)``; result ``(K,)`` float64.

    Returns:
        Values in [0, 1]; nan for a class that occurs in neither labels nor predictions.
    """
    _check("iou_by_class", counts)
    hits = counts.diagonal()
    # torch divides int64 by int64 in float32, which cannot represent the counts exactly.
    return hits.double() / (counts.sum(dim=0) + counts.sum(dim=1) - hits).double()


def miou(counts: Tensor) -> float:
    """Return the mean IoU over the classes with a non-empty union.

    A class that occurs only in the predictions counts as 0, because it is a mistake. A class that
    occurs in neither has no IoU and is left out.

    Args:
        counts: confusion matrix ``(K, K)``, rows are the labels.

    Returns:
        A value in [0, 1].
    """
    return float(iou_by_class(counts).nanmean())


def miou_ground_truth_classes(counts: Tensor) -> float:
    """Return the mean IoU over the classes that occur in the labels.

    It equals :func:`miou` if no absent class was predicted, and is larger otherwise.

    Args:
        counts: confusion matrix ``(K, K)``, rows are the labels.

    Returns:
        A value in [0, 1].
    """
    return float(iou_by_class(counts)[counts.sum(dim=1) > 0].mean())


def pixel_accuracy(counts: Tensor) -> float:
    """Return the share of labelled pixels with the right class.

    Args:
        counts: confusion matrix ``(K, K)``, rows are the labels.

    Returns:
        A value in [0, 1].
    """
    _check("pixel_accuracy", counts)
    return int(counts.diagonal().sum()) / int(counts.sum())


def mean_accuracy(counts: Tensor) -> float:
    """Return the mean recall over the classes that occur in the labels.

    Args:
        counts: confusion matrix ``(K, K)``, rows are the labels.

    Returns:
        A value in [0, 1].
    """
    _check("mean_accuracy", counts)
    truth = counts.sum(dim=1)
    recall = counts.diagonal().double() / truth.double()
    return float(recall[truth > 0].mean())


def frequency_weighted_iou(counts: Tensor) -> float:
    """Return the mean IoU, weighted by the classes' shares of the labelled pixels.

    Args:
        counts: confusion matrix ``(K, K)``, rows are the labels.

    Returns:
        A value in [0, 1].
    """
    truth = counts.sum(dim=1)
    present = truth > 0
    share = truth[present].double() / truth.sum().double()
    return float((share * iou_by_class(counts)[present]).sum())


def _check(caller: str, counts: Tensor) -> None:
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.dtype != torch.int64:
        raise ValueError(
            f"{caller}: expected an int64 confusion matrix (K, K), got {counts.dtype} "
            f"{tuple(counts.shape)}; make it with segdistill.scoring.confusion.ConfusionMatrix"
        )
    if counts.numel() == 0 or counts.min() < 0 or counts.sum() == 0:
        raise ValueError(
            f"{caller}: expected counts of at least one labelled pixel, got "
            f"{int(counts.sum())}; check that the split has labels other than the ignored one"
        )
