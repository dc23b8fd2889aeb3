"""The confusion matrix: exact int64 counts from which every score is computed."""

from __future__ import annotations

import torch
from torch import Tensor

from segdistill.types import IGNORE_INDEX

_POSITIONS = 2**20
_INTEGERS = (torch.uint8, torch.int16, torch.int32, torch.int64)


def image_confusions(
    prediction: Tensor, labels: Tensor, *, classes: int, ignore_index: int = IGNORE_INDEX
) -> Tensor:
    r"""Count for each image of a batch how often each true class is predicted as each class.

    .. math:: M_{nab} = |\{p : \text{labels}_{np} = a, \text{prediction}_{np} = b\}|

    Args:
        prediction: predicted class ids, integers.
        labels: true class ids, integers.
        classes: the number of classes :math:`K`.
        ignore_index: label of positions that are not counted.

    Shape:
        prediction, labels ``(N, H, W)``; result ``(N, K, K)`` int64; rows are the labels.

    Returns:
        The counts, on the device of the labels.

    Raises:
        ValueError: the shapes differ or are not ``(N, H, W)``, or an id is neither a class
            nor, for labels, ignored.
        TypeError: an argument does not hold integers.
    """
    _check(prediction, labels)
    if labels.ndim != 3:
        raise ValueError(
            f"image_confusions: expected labels (N, H, W), got {tuple(labels.shape)}; "
            "add a batch axis with labels[None]"
        )
    cells = torch.int32 if classes * (classes + 1) < 2**31 else torch.int64
    counts = labels.new_zeros(len(labels), classes + 1, classes, dtype=torch.int64)
    for image, ids, truth in zip(counts, prediction, labels, strict=True):
        for columns, rows in zip(ids.split(_rows_of(ids)), truth.split(_rows_of(ids)), strict=True):
            ignored = rows == ignore_index
            _check_ids("labels", rows.masked_fill(ignored, 0), classes, f" or {ignore_index}")
            _check_ids("prediction", columns, classes, "")
            # Ignored positions are counted in an extra row, which is dropped.
            cell = rows.to(cells).masked_fill_(ignored, classes).mul_(classes).add_(columns)
            image += torch.bincount(cell.flatten(), minlength=image.numel()).view_as(image)
    return counts[:, :classes].contiguous()


def _rows_of(ids: Tensor) -> int:
    """Return the number of rows counted at once, so that memory does not grow with the image."""
    return max(_POSITIONS // max(ids.shape[1], 1), 1)


class ConfusionMatrix:
    """Sum of :func:`image_confusions` over batches; scores are functions of its ``counts``.

    Args:
        classes: the number of classes.
        ignore_index: label of positions that are not counted.
        per_image: also keep the matrix of each image, for an image-level bootstrap.

    Raises:
        ValueError: there are no classes.
    """

    def __init__(
        self, classes: int, *, ignore_index: int = IGNORE_INDEX, per_image: bool = False
    ) -> None:
        if classes < 1:
            raise ValueError(f"ConfusionMatrix: expected classes >= 1, got {classes}")
        self.classes = classes
        self.ignore_index = ignore_index
        self.per_image = per_image
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)
        self._images: list[Tensor] = []

    def update(self, prediction: Tensor, labels: Tensor) -> None:
        """Add a batch; see :func:`image_confusions` for shapes and refusals."""
        counts = image_confusions(
            prediction, labels, classes=self.classes, ignore_index=self.ignore_index
        ).cpu()
        self.counts = self.counts + counts.sum(dim=0)
        if self.per_image:
            self._images.append(counts)

    def image_counts(self) -> Tensor:
        """Return the matrices of the images, ``(N, K, K)``, in the order in which they were added.

        Raises:
            ValueError: they were not kept, because ``per_image`` was False.
        """
        if not self.per_image:
            raise ValueError(
                "ConfusionMatrix.image_counts: expected per_image=True, got False; "
                "ask for it when the matrix is made"
            )
        empty = torch.zeros(0, self.classes, self.classes, dtype=torch.int64)
        return torch.cat([empty, *self._images])


def _check(prediction: Tensor, labels: Tensor) -> None:
    if prediction.shape != labels.shape:
        raise ValueError(
            "image_confusions: expected equal shapes, "
            f"got prediction {tuple(prediction.shape)} and "
            f"labels {tuple(labels.shape)}; resize the logits to the labels, then take argmax"
        )
    for name, tensor in (("prediction", prediction), ("labels", labels)):
        if tensor.dtype not in _INTEGERS:
            raise TypeError(
                f"image_confusions: expected integer {name}, got {tensor.dtype}; "
                "take argmax over the classes first"
            )


def _check_ids(name: str, ids: Tensor, classes: int, also: str) -> None:
    if ids.numel() == 0:
        return
    lowest, highest = torch.stack(torch.aminmax(ids)).tolist()
    if lowest < 0 or highest >= classes:
        value = lowest if lowest < 0 else highest
        raise ValueError(
            f"image_confusions: expected {name} from 0 to {classes - 1}{also}, got {value} at "
            f"{int((ids == value).sum())} positions; map the ids to the {classes} classes first"
        )
