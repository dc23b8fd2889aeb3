"""Evaluating a network on a whole dataset: one confusion matrix, and all scores from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from segdistill.errors import DataError
from segdistill.network_state import device_of, evaluating
from segdistill.scoring.boundary import BoundaryIoU
from segdistill.scoring.calibration import Calibration
from segdistill.scoring.confusion import ConfusionMatrix
from segdistill.scoring.inference import predict_ids
from segdistill.scoring.reading import read_batches, stack
from segdistill.scoring.scores import Scores, score
from segdistill.types import Classes, Sample, SegDataset

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
"""Lightning Fabric's names of the arithmetic that a network computes in."""

OnImage = Callable[[int, Sample, np.ndarray], None]
"""Called for each image in the dataset's order: index, sample, predicted ids (H, W) uint8."""

_AUTOCAST = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True)
class Result:
    """The outcome of an evaluation.

    Attributes:
        scores: every score over the whole dataset.
        counts: the confusion matrix ``(K, K)`` int64; rows are the labels.
        classes: the dataset's classes.
        images: number of images scored.
        pixels: number of labelled pixels scored.
        seconds: wall-clock time, including reading.
        image_counts: matrices of the images ``(N, K, K)`` in the dataset's order, if kept.
        image_names: the names of those images, if kept.
        calibration: what :attr:`calibration_error` is computed from, if asked for.
        boundary: what :attr:`boundary_iou` is computed from, if asked for.
    """

    scores: Scores
    counts: Tensor
    classes: Classes
    images: int
    pixels: int
    seconds: float
    image_counts: Tensor | None = None
    image_names: tuple[str, ...] = ()
    calibration: Calibration | None = None
    boundary: BoundaryIoU | None = None

    @property
    def calibration_error(self) -> float | None:
        """See :mod:`segdistill.scoring.calibration`; None if not asked for."""
        return None if self.calibration is None else self.calibration.error()

    @property
    def boundary_iou(self) -> float | None:
        """See :mod:`segdistill.scoring.boundary`; None if not asked for."""
        return None if self.boundary is None else self.boundary.score()

    def as_dict(self) -> dict[str, Any]:
        """Return scores, sizes, time and class colours as JSON values."""
        sizes = {"images": self.images, "pixels": self.pixels, "seconds": self.seconds}
        colors = zip(self.classes.names, map(list, self.classes.colors), strict=True)
        return self.scores.as_dict() | sizes | {"colors": dict(colors)}


def evaluate(
    network: nn.Module,
    dataset: SegDataset,
    *,
    device: torch.device | str | None = None,
    precision: Precision = "32-true",
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    window: tuple[int, int] | None = None,
    workers: int = 1,
    batch_size: int = 8,
    keep_images: bool = False,
    further: bool = False,
    on_image: OnImage | None = None,
) -> Result:
    """Score a network on every image of a dataset.

    The network's logits are resized to each mask, never the mask to the logits. Consecutive images
    of equal size share a batch; threads read ahead. The modes of the network's modules are
    restored.

    Args:
        network: maps float images in [0, 1] to ``SegOutput``; used in evaluation mode.
        dataset: images with masks; sizes may differ.
        device: device to which the network is moved; by default its own.
        precision: arithmetic of the network; probabilities are always float32 and counts int64.
        scales: see :func:`segdistill.scoring.inference.predict`.
        flip: see :func:`segdistill.scoring.inference.predict`.
        window: see :func:`segdistill.scoring.inference.predict`.
        workers: number of threads that read ahead; 0 reads between the batches.
        batch_size: maximum number of images per batch; large images make smaller batches.
        keep_images: also return the confusion matrix of each image.
        further: also return calibration error and boundary IoU, from the same pass.
        on_image: called for each image, in the dataset's order.

    Raises:
        DataError: the dataset is empty, an image has no mask, or a label is not a class.
        ValueError: the network has other classes than the dataset, its logits are not
            finite, or a setting is out of range.
    """
    if len(dataset) == 0:
        raise DataError("evaluate: expected at least one image, got an empty split")
    if precision not in _AUTOCAST:
        raise ValueError(
            f"evaluate: expected precision {', '.join(_AUTOCAST)}, got {precision}; choose one"
        )
    started = time.perf_counter()
    device = torch.device(device) if device is not None else device_of(network)
    dtype = _AUTOCAST[precision]
    matrix = ConfusionMatrix(len(dataset.classes), per_image=keep_images)
    names: list[str] = []
    calibration, boundary = Calibration(), BoundaryIoU(len(dataset.classes))

    def classify(images: Tensor, size: tuple[int, int], sure: Tensor | None) -> Tensor:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            ids, count = predict_ids(
                network,
                images,
                scales=scales,
                flip=flip,
                window=window,
                size=size,
                confidences=sure,
            )
        _check_classes(count, dataset.classes)
        return ids

    with torch.inference_mode(), evaluating(network.to(device)):
        for samples in read_batches(dataset, workers=workers, batch_size=batch_size):
            images, labels = stack(samples, device)
            sure = torch.empty(labels.shape, device=device) if further else None
            prediction = classify(images, (labels.shape[-2], labels.shape[-1]), sure)
            matrix.update(prediction, labels)
            if sure is not None:
                calibration.update(sure, prediction, labels)
                boundary.update(prediction, labels)
            if on_image is not None:
                ids = prediction.to(torch.uint8).cpu().numpy()
                for position, sample in enumerate(samples):
                    on_image(len(names) + position, sample, ids[position])
            names.extend(sample.name for sample in samples)
    return Result(
        scores=score(matrix.counts, dataset.classes.names),
        counts=matrix.counts,
        classes=dataset.classes,
        images=len(names),
        pixels=int(matrix.counts.sum()),
        seconds=time.perf_counter() - started,
        image_counts=matrix.image_counts() if keep_images else None,
        image_names=tuple(names) if keep_images else (),
        calibration=calibration if further else None,
        boundary=boundary if further else None,
    )


def join(results: Sequence[Result]) -> Result:
    """Return the joint result of evaluations of different images of one dataset, in its order.

    Args:
        results: at least one, all with the same things kept; their accumulators are used up.
    """
    first = results[0]
    counts = torch.stack([result.counts for result in results]).sum(dim=0)
    kept = [result.image_counts for result in results if result.image_counts is not None]
    for other in results[1:]:
        if first.calibration is not None and other.calibration is not None:
            first.calibration.add(other.calibration)
        if first.boundary is not None and other.boundary is not None:
            first.boundary.add(other.boundary)
    return replace(
        first,
        scores=score(counts, first.classes.names),
        counts=counts,
        images=sum(result.images for result in results),
        pixels=sum(result.pixels for result in results),
        seconds=max(result.seconds for result in results),
        image_counts=torch.cat(kept) if kept else None,
        image_names=tuple(name for result in results for name in result.image_names),
    )


def _check_classes(count: int, classes: Classes) -> None:
    if count != len(classes):
        raise ValueError(
            f"evaluate: expected logits of {len(classes)} classes, those of the dataset, got "
            f"{count}; build the network with classes={len(classes)}"
        )
