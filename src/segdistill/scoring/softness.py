"""The softness of a network's class probabilities: the entropy of each pixel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from segdistill.checks import check_positive


def entropy(logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    r"""Return the Shannon entropy of every position's softened class distribution.

    .. math::
        H(p) = -\sum_k p_k \ln p_k, \qquad p_k = \frac{\exp(z_k / T)}{\sum_j \exp(z_j / T)}

    It is 0 if one class has all the probability, and :math:`\ln K` if all have the same.

    Args:
        logits: a network's logits :math:`z`.
        temperature: :math:`T`.

    Shape:
        logits ``(N, K, H, W)``; result ``(N, H, W)`` float32 or wider.

    Returns:
        Nats, from 0 to :math:`\ln K`.

    Raises:
        ValueError: the logits are not ``(N, K, H, W)``, or the temperature is not a finite
            number above 0.

    Source:
        Niemann et al., "Comparable Knowledge Distillation in Semantic Segmentation", 2023,
        Sec. 5.3, Eq. 3; natural logarithm as in its Fig. 1 (2.9 for 19 classes).
    """
    check_positive("entropy", temperature=temperature)
    if logits.ndim != 4:
        raise ValueError(
            f"entropy: expected logits (N, K, H, W), got {tuple(logits.shape)}; "
            "add a batch axis with logits[None]"
        )
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    nats: Tensor = torch.special.entr((wide / temperature).softmax(dim=1)).sum(dim=1)
    return nats


def entropy_counts(entropies: Tensor, *, classes: int, bins: int = 30) -> Tensor:
    r"""Count entropies in equal bins from 0 to the largest possible, :math:`\ln K`.

    The figure of the source shows these counts as shares of all pixels, one histogram per
    temperature; it averages nothing.

    Args:
        entropies: nats, as :func:`entropy` returns them.
        classes: :math:`K`.
        bins: number of bins.

    Shape:
        entropies any; result ``(bins,)`` int64.

    Raises:
        ValueError: there are fewer than 2 classes or no bin, or an entropy is out of range.

    Source:
        Niemann et al. 2023, Fig. 1.
    """
    if classes < 2 or bins < 1:
        raise ValueError(
            f"entropy_counts: expected classes >= 2 and bins >= 1, got {classes} and {bins}"
        )
    # Rounding may put a uniform distribution slightly above the largest value.
    shares = entropies.flatten().double() / math.log(classes)
    if shares.numel() and not (shares.min() >= -1e-5 and shares.max() <= 1 + 1e-5):
        raise ValueError(
            f"entropy_counts: expected entropies from 0 to ln {classes}, got up to "
            f"{float(entropies.max())}; give them in nats"
        )
    indices = (shares * bins).long().clamp(0, bins - 1)
    return torch.bincount(indices, minlength=bins)
