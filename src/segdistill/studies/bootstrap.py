"""Bootstrap over images: how much a trained model's score depends on the images.

It does not cover the variation between trainings, for which seeds are compared (``statistics``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from segdistill.seeding import derive
from segdistill.studies.statistics import Interval


def bootstrap_miou(
    counts: np.ndarray, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Return the mIoU of one model with a percentile interval over resampled images.

    Args:
        counts: confusion matrix of each image; rows are the labels.
        resamples: number of resamples, each as many images drawn with replacement.
        confidence: share of the resamples inside the interval, in (0, 1).
        seed: of the draws.

    Shape:
        counts ``(N, K, K)``, integers.

    Raises:
        ValueError: the shape is wrong, no pixel was counted, or a setting is out of range.
    """
    _check("bootstrap_miou", counts, resamples, confidence)
    values = _resampled(len(counts), lambda weights: _miou(weights, counts), resamples, seed)
    estimate = float(_miou(np.ones((1, len(counts))), counts)[0])
    return _percentiles(values, estimate, confidence)


def bootstrap_mean(
    models: Sequence[np.ndarray],
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the mean mIoU of several trainings of one model, all on the same resampled images.

    The interval is that of these trainings: others would add their own variation.

    Args:
        models: confusion matrix of each image by training; of the same images in the same order.
        resamples: see :func:`bootstrap_miou`.
        confidence: see :func:`bootstrap_miou`.
        seed: of the draws.

    Shape:
        models each ``(N, K, K)``, integers.

    Raises:
        ValueError: as for :func:`bootstrap_miou`, there is no training, or they differ in shape.
    """
    if not models or any(model.shape != models[0].shape for model in models):
        raise ValueError(
            "bootstrap_mean: expected the same images of every training, got "
            f"{[model.shape for model in models]}; evaluate all on the same split"
        )
    for model in models:
        _check("bootstrap_mean", model, resamples, confidence)

    def mean(weights: np.ndarray) -> np.ndarray:
        of_all: np.ndarray = np.mean([_miou(weights, model) for model in models], axis=0)
        return of_all

    values = _resampled(len(models[0]), mean, resamples, seed)
    estimate = float(mean(np.ones((1, len(models[0]))))[0])
    return _percentiles(values, estimate, confidence)


def bootstrap_difference(
    model: np.ndarray,
    baseline: np.ndarray,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the mIoU of one model minus another's, both on the same resampled images.

    Args:
        model: confusion matrix of each image; rows are the labels.
        baseline: confusion matrices of the other model on the same images, in the same order.
        resamples: see :func:`bootstrap_miou`.
        confidence: see :func:`bootstrap_miou`.
        seed: of the draws.

    Shape:
        model, baseline ``(N, K, K)``, integers.

    Raises:
        ValueError: as for :func:`bootstrap_miou`, or the labels of the two differ.
    """
    _check("bootstrap_difference", model, resamples, confidence)
    _check("bootstrap_difference", baseline, resamples, confidence)
    if model.shape != baseline.shape or (model.sum(axis=2) != baseline.sum(axis=2)).any():
        raise ValueError(
            f"bootstrap_difference: expected the same labelled images, got {model.shape} and "
            f"{baseline.shape} with different labels; evaluate both on the same split"
        )

    def difference(weights: np.ndarray) -> np.ndarray:
        change: np.ndarray = _miou(weights, model) - _miou(weights, baseline)
        return change

    values = _resampled(len(model), difference, resamples, seed)
    estimate = float(difference(np.ones((1, len(model))))[0])
    return _percentiles(values, estimate, confidence)


def _resampled(
    images: int, statistic: Callable[[np.ndarray], np.ndarray], resamples: int, seed: int
) -> np.ndarray:
    """Return a statistic for every resample, from the number of times each image was drawn."""
    random = np.random.default_rng(derive(seed, "bootstrap"))
    draws = random.multinomial(images, np.full(images, 1 / images), size=resamples)
    return statistic(draws.astype(np.float64))


def _miou(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mIoU of weighted images, ``(R,)`` from ``(R, N)`` and ``(N, K, K)``.

    mIoU needs only intersections and unions, so complete matrices are not summed. In float64
    their sums are exact below 2^53.
    """
    hits = np.diagonal(counts, axis1=1, axis2=2)
    unions = counts.sum(axis=1) + counts.sum(axis=2) - hits
    hit, union = weights @ hits.astype(np.float64), weights @ unions.astype(np.float64)
    present = union > 0
    iou = np.divide(hit, union, out=np.zeros_like(hit), where=present)
    mean: np.ndarray = iou.sum(axis=1) / present.sum(axis=1)
    return mean


def _percentiles(values: np.ndarray, estimate: float, confidence: float) -> Interval:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), estimate, float(high), confidence)


def _check(caller: str, counts: np.ndarray, resamples: int, confidence: float) -> None:
    if counts.ndim != 3 or counts.shape[1] != counts.shape[2] or counts.dtype.kind not in "iu":
        raise ValueError(
            f"{caller}: expected integer counts (N, K, K), got {counts.dtype} {counts.shape}; "
            "evaluate with keep_images=True"
        )
    if counts.size == 0 or (counts.sum(axis=(1, 2)) == 0).any():
        raise ValueError(
            f"{caller}: expected a labelled pixel in every image, got an image without any; "
            "leave it out of both models"
        )
    if resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            f"{caller}: expected resamples >= 1 and confidence in (0, 1), "
            f"got {resamples} and {confidence}"
        )
