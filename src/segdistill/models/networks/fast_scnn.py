"""Fast-SCNN: shared first layers, a deep coarse path and a skip connection; stride 8."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual

from segdistill.models.backbone import Trunk
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.heads.psp import adaptive_average
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.residual import conv_bn, enlarged
from segdistill.models.segmenter import Segmenter

_BINS = (1, 2, 3, 6)
_WIDTH = 128


class SharedBeginning(Trunk):
    """Learning to downsample (stride 8), and the bottlenecks of the coarse path (stride 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.features = (FeatureInfo(64, 8), FeatureInfo(_WIDTH, 32))
        self.begin = nn.Sequential(
            conv_bn(3, 32, 3, 2, relu=True), separable(32, 48, 2), separable(48, 64, 2)
        )
        self.deep = nn.Sequential(
            *_bottlenecks(64, 64, 2), *_bottlenecks(64, 96, 2), *_bottlenecks(96, _WIDTH, 1)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        fine = self.begin(images)
        return [fine, self.deep(fine)]


def separable(in_channels: int, width: int, stride: int = 1) -> nn.Sequential:
    """Return a depthwise-separable 3x3 convolution, without a ReLU between its two parts.

    Args:
        in_channels: width of the map.
        width: of the result.
        stride: of the depthwise part.
    """
    return nn.Sequential(
        conv_bn(in_channels, in_channels, 3, stride, groups=in_channels),
        conv_bn(in_channels, width, relu=True),
    )


def _bottlenecks(in_channels: int, width: int, stride: int) -> list[nn.Module]:
    """Return three inverted bottlenecks of MobileNetV2, the first one strided."""
    return [
        InvertedResidual(in_channels, width, stride, expand_ratio=6),
        *(InvertedResidual(width, width, 1, expand_ratio=6) for _ in range(2)),
    ]


class FastFusion(Head):
    """Averages over four grids, then the deep map enlarged, added to the fine one, and filtered.

    Args:
        features: maps of stride 8 and 32.
    """

    pools_image = True
    smallest_map = max(_BINS)
    out_channels, out_stride = _WIDTH, 8

    def __init__(self, features: Sequence[FeatureInfo]) -> None:
        super().__init__()
        fine, deep = (feature.channels for feature in features)
        self.grids = nn.ModuleList(conv_bn(deep, deep // len(_BINS), relu=True) for _ in _BINS)
        self.pool = conv_bn(2 * deep, _WIDTH, relu=True)
        self.dilated = conv_bn(_WIDTH, _WIDTH, 3, dilation=4, groups=_WIDTH, relu=True)
        self.deep = _thin(_WIDTH)
        self.fine = _thin(fine)
        self.refine = nn.Sequential(separable(_WIDTH, _WIDTH), separable(_WIDTH, _WIDTH))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        fine, deep = features
        views = [
            enlarged(grid(adaptive_average(deep, bins)), deep)
            for grid, bins in zip(self.grids, _BINS, strict=True)
        ]
        pooled = self.pool(torch.cat([deep, *views], dim=1))
        coarse = self.deep(self.dilated(enlarged(pooled, fine)))
        maps: Tensor = self.refine(torch.relu(coarse + self.fine(fine)))
        return maps


def _thin(in_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, _WIDTH, 1), nn.BatchNorm2d(_WIDTH))


def fast_scnn(classes: int, dropout: float = 0.1, auxiliary: bool = True) -> Segmenter:
    """Return Fast-SCNN; see :class:`SharedBeginning` and :class:`FastFusion`.

    The auxiliary head of training reads the shared beginning.

    Source:
        Poudel, Liwicki and Cipolla, "Fast-SCNN: Fast Semantic Segmentation Network", BMVC
        2019, Table 1; the pyramid pooling as in PSPNet.
    """
    trunk = SharedBeginning()
    return Segmenter(trunk, FastFusion(trunk.features), classes, dropout, auxiliary, 32)
