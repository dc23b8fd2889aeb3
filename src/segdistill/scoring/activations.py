"""The activation map: the strength of a layer's activations at every position."""

from __future__ import annotations

from torch import Tensor


def activation_map(features: Tensor) -> Tensor:
    r"""Return the mean absolute value of the channels at every position.

    .. math:: a_p = \frac{1}{C} \sum_c |f_{cp}|

    Args:
        features: :math:`f`, of one image.

    Shape:
        features ``(C, h, w)``; result ``(h, w)`` float32 or wider.

    Returns:
        Values of at least 0, in the unit of the features.

    Raises:
        ValueError: the features are not ``(C, h, w)``.

    Source:
        Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, Sec. 3.1
        (:math:`F_{sum}`, here a mean); Liu et al., WACV 2024, Fig. 6 shows such maps without
        saying how they are computed.
    """
    if features.ndim != 3:
        raise ValueError(
            f"activation_map: expected features (C, h, w) of one image, got {tuple(features.shape)}"
        )
    wide = features if features.element_size() >= 4 else features.float()
    return wide.abs().mean(dim=0)
