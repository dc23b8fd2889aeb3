"""Variance components of a difference: search, seed and images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from statistics import fmean, median
from typing import TypeVar

import numpy as np

from segdistill.studies.comparison import by_search

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Variance:
    """Variance components of a method's difference to the baseline on one seed (fractions²).

    Attributes:
        search: variance between searches; None if there was only one.
        seed: variance between seeds of the same search; None if no search has two.
        images: variance between samples of images; None if unknown.
    """

    search: float | None
    seed: float | None
    images: float | None

    def shares(self) -> dict[str, float]:
        """Return the share of each known component in their sum; empty if that is 0."""
        parts = {"search": self.search, "seed": self.seed, "images": self.images}
        known = {name: value for name, value in parts.items() if value is not None}
        total = sum(known.values())
        return {name: value / total for name, value in known.items()} if total > 0 else {}


def nested(
    differences: Mapping[S, float], searches: Mapping[S, int] | None
) -> tuple[float | None, float | None]:
    r"""Return the variances between searches and seeds of a difference by nested ANOVA.

    With :math:`n_r` seeds of search :math:`r` and :math:`N` in all :math:`R` searches,

    .. math:: \hat\sigma^2_{seed} = MS_w, \qquad
        \hat\sigma^2_{search} = \max\Bigl(0, \frac{MS_b - MS_w}{n_0}\Bigr), \qquad
        n_0 = \frac{N - \sum_r n_r^2 / N}{R - 1}.

    Args:
        differences: method minus baseline by seed.
        searches: the search whose values each seed uses, None if there was only one.

    Returns:
        Variances of search and seed; None if one cannot be estimated.

    Source:
        Searle, Casella and McCulloch, "Variance Components", 1992, section 3.6.
    """
    groups: dict[int, list[float]] = {}
    for seed, value in differences.items():
        groups.setdefault(0 if searches is None else searches[seed], []).append(value)
    total, count = len(differences), len(groups)
    within = None
    if total > count:
        squares = sum((x - fmean(own)) ** 2 for own in groups.values() for x in own)
        within = squares / (total - count)
    if count < 2 or within is None:
        return None, within
    mean = fmean(differences.values())
    between = sum(len(own) * (fmean(own) - mean) ** 2 for own in groups.values()) / (count - 1)
    size = (total - sum(len(own) ** 2 for own in groups.values()) / total) / (count - 1)
    return max(0.0, (between - within) / size), within


def image_variance(model: np.ndarray, baseline: np.ndarray | None = None) -> float:
    r"""Return the variance of an mIoU, or of a difference of two, over samples of images.

    By the infinitesimal jackknife, with :math:`h_{ik}` and :math:`u_{ik}` intersection and union
    of class :math:`k` in image :math:`i`, and sums :math:`H_k, U_k` over :math:`N` images,

    .. math:: \sigma^2 = \frac{N}{N - 1} \sum_i \Bigl(\frac{1}{K} \sum_k
        \frac{h_{ik} - (H_k / U_k) \, u_{ik}}{U_k}\Bigr)^2,

    which a bootstrap of the images approaches.

    Args:
        model: confusion matrix of each image; rows are the labels.
        baseline: confusion matrices of another model on the same images, to be subtracted.

    Shape:
        both ``(N, K, K)``, integers.

    Raises:
        ValueError: there are fewer than two images, or the two models have different ones.

    Source:
        Efron, "The Jackknife, the Bootstrap and Other Resampling Plans", 1982, chapter 6.
    """
    if len(model) < 2 or (baseline is not None and baseline.shape != model.shape):
        shapes = model.shape if baseline is None else (model.shape, baseline.shape)
        raise ValueError(
            f"image_variance: expected at least two images, the same for both models, "
            f"got {shapes}; evaluate both on the same split"
        )
    influence = _influence(model) - (0.0 if baseline is None else _influence(baseline))
    return float((influence**2).sum() * len(model) / (len(model) - 1))


def _influence(counts: np.ndarray) -> np.ndarray:
    hits = np.diagonal(counts, axis1=1, axis2=2).astype(np.float64)
    unions = counts.sum(axis=1) + counts.sum(axis=2) - hits
    hit, union = hits.sum(axis=0), unions.sum(axis=0)
    present = union > 0
    change = hits[:, present] - hit[present] / union[present] * unions[:, present]
    influence: np.ndarray = (change / union[present]).mean(axis=1)
    return influence


def median_of_searches(scores: Mapping[S, float], searches: Mapping[S, int]) -> float:
    """Return the median over searches of the mean score of each search's choice over its seeds.

    Source:
        Dahl et al., "Benchmarking Neural Network Training Algorithms", 2023, arXiv:2306.07179,
        section 4 (the median over independent tuning studies of each study's best).
    """
    return median(by_search(scores, searches).values())
