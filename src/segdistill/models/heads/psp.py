"""The head of PSPNet: the map and its averages over grids of several sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.heads.blocks import conv_bn_relu
from segdistill.models.heads.head import FeatureInfo, Head


def adaptive_average(maps: Tensor, bins: int) -> Tensor:
    r"""Average maps over a grid of ``bins`` times ``bins`` cells, as two matrix products.

    Cell :math:`a` covers rows :math:`\lfloor a n / k \rfloor` to
    :math:`\lceil (a + 1) n / k \rceil - 1` of :math:`n`, and columns likewise, so

    .. math:: y = A_h \, x \, A_w^T

    where a row of :math:`A` holds one over the cell's length inside the cell. It equals
    ``adaptive_avg_pool2d``, which exports to ONNX frozen to the traced size; these
    matrices are built from the symbolic size.

    Args:
        maps: what is averaged.
        bins: :math:`k`, cells per side.

    Shape:
        maps ``(N, C, H, W)``; result ``(N, C, bins, bins)``.

    Returns:
        The averages.
    """
    rows, height = _cells(maps, maps.shape[2], bins)
    columns, width = _cells(maps, maps.shape[3], bins)
    # Products with 0 and 1, then divided: exact under autocast to bfloat16, and each step
    # is a mean, so that float16 does not overflow.
    across = torch.matmul(maps, columns.T) / width
    return torch.matmul(rows, across) / height.unsqueeze(-1)


def _cells(maps: Tensor, size: int, bins: int) -> tuple[Tensor, Tensor]:
    """Return a 0/1 matrix ``(bins, size)`` of the cells, and each cell's length."""
    cell = torch.arange(bins, device=maps.device)
    start = torch.div(cell * size, bins, rounding_mode="floor")
    stop = torch.div((cell + 1) * size + (bins - 1), bins, rounding_mode="floor")
    position = torch.arange(size, device=maps.device)
    inside = (position >= start.unsqueeze(1)) & (position < stop.unsqueeze(1))
    return inside.to(maps.dtype), (stop - start).to(maps.dtype)


class PyramidPooling(Head):
    """The pyramid pooling module.

    The last map is averaged over grids, each average goes through a 1x1 convolution and
    back to the map's size, all are concatenated to the map and a 3x3 convolution follows.

    Args:
        features: the backbone's maps, shallowest first.
        width: channels of the result.
        bins: cells per side of each grid.
        branch_width: channels of each average; None divides the last map's by the number
            of grids, as the paper does.
        separable: make the 3x3 convolution depthwise-separable.

    Source:
        Zhao, Shi, Qi, Wang and Jia, "Pyramid Scene Parsing Network", CVPR 2017, Sec. 3.2.
    """

    pools_image = True

    def __init__(
        self,
        features: Sequence[FeatureInfo],
        width: int = 512,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        branch_width: int | None = None,
        separable: bool = False,
    ) -> None:
        super().__init__()
        last = features[-1]
        branch = last.channels // len(bins) if branch_width is None else branch_width
        self.bins = tuple(bins)
        self.smallest_map = max(bins)
        # A grid of one cell leaves batch norm a single value per image.
        self.pools_image = 1 in bins
        self.out_channels = width
        self.out_stride = last.stride
        self.branches = nn.ModuleList(conv_bn_relu(last.channels, branch) for _ in bins)
        self.project = conv_bn_relu(
            last.channels + branch * len(bins), width, kernel=3, separable=separable
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        last = features[-1]
        size = (last.shape[2], last.shape[3])
        views = [last]
        for bins, branch in zip(self.bins, self.branches, strict=True):
            view = branch(adaptive_average(last, bins))
            views.append(F.interpolate(view, size, mode="bilinear", align_corners=False))
        maps: Tensor = self.project(torch.cat(views, dim=1))
        return maps
