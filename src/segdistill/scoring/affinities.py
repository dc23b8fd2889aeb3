"""The affinity map: the similarity of every position of a feature map to a chosen one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def affinity_map(features: Tensor, *, row: int, column: int) -> Tensor:
    r"""Return the cosine of one position's features with those of every position.

    .. math:: A_j = \cos(f_i, f_j) = \frac{f_i \cdot f_j}{\|f_i\|_2 \|f_j\|_2}

    It is row :math:`i` of the affinity matrix of knowledge adaptation, without the factor
    :math:`1 / (h w)`. A position whose features are all 0 has affinity 0 to all others.

    Args:
        features: :math:`f`, of one image.
        row: of the point, from 0.
        column: of the point, from 0.

    Shape:
        features ``(C, h, w)``; result ``(h, w)`` float32 or wider.

    Returns:
        Values in [-1, 1], 1 at the point itself.

    Raises:
        ValueError: the features are not ``(C, h, w)``, or the point is outside.

    Source:
        He et al., "Knowledge Adaptation for Efficient Semantic Segmentation", CVPR 2019,
        Eq. 3 and Fig. 3.
    """
    if features.ndim != 3:
        raise ValueError(
            f"affinity_map: expected features (C, h, w) of one image, got {tuple(features.shape)}"
        )
    height, width = features.shape[1:]
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"affinity_map: expected a point inside {height} x {width}, got {row}, {column}; "
            "divide the pixel by the stride of the map"
        )
    wide = features if features.element_size() >= 4 else features.float()
    unit = F.normalize(wide.flatten(start_dim=1), dim=0)
    cosines: Tensor = unit[:, row * width + column] @ unit
    return cosines.clamp(-1, 1).reshape(height, width)
