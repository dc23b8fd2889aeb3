"""RegSeg: a thin network of large dilations with a small decoder; logits at stride 4."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation

from segdistill.models.backbone import Trunk
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.residual import conv_bn, enlarged
from segdistill.models.segmenter import Segmenter

_GROUP = 16
"""Channels of each group of a 3x3 convolution."""

_DILATIONS = ((1,), (1, 2), *[(1, 4)] * 4, *[(1, 14)] * 7)
"""Dilations of the blocks at stride 16 after the first: Gao 2021 and RolandGao/RegSeg (exp48)."""


class DilatedTrunk(Trunk):
    """RegSeg's backbone, with maps of stride 4, 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.features = (FeatureInfo(48, 4), FeatureInfo(128, 8), FeatureInfo(320, 16))
        self.stem = conv_bn(3, 32, 3, 2, relu=True)
        self.quarter = DilatedBlock(32, 48, stride=2)
        self.eighth = nn.Sequential(
            DilatedBlock(48, 128, stride=2), DilatedBlock(128, 128), DilatedBlock(128, 128)
        )
        self.sixteenth = nn.Sequential(
            DilatedBlock(128, 256, stride=2),
            *(DilatedBlock(256, 256, dilations=dilations) for dilations in _DILATIONS[:-1]),
            DilatedBlock(256, 320, dilations=_DILATIONS[-1]),
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        quarter = self.quarter(self.stem(images))
        eighth = self.eighth(quarter)
        return [quarter, eighth, self.sixteenth(eighth)]


class DilatedBlock(nn.Module):
    """The D block: a residual block whose 3x3 convolution is cut into parts of other dilation.

    Args:
        in_channels: width of the map.
        width: of the result, a multiple of the parts times 16.
        stride: 1 or 2.
        dilations: of each part of the 3x3 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        dilations: tuple[int, ...] = (1,),
    ) -> None:
        super().__init__()
        part = width // len(dilations)
        self.expand = conv_bn(in_channels, width, relu=True)
        self.parts = nn.ModuleList(
            nn.Conv2d(
                part,
                part,
                3,
                stride,
                padding=dilation,
                dilation=dilation,
                groups=part // _GROUP,
                bias=False,
            )
            for dilation in dilations
        )
        self.norm = nn.BatchNorm2d(width)
        self.gate = SqueezeExcitation(width, in_channels // 4)
        self.project = conv_bn(width, width)
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(2, ceil_mode=True), conv_bn(in_channels, width)
            )
        elif in_channels != width:
            self.shortcut = conv_bn(in_channels, width)

    def forward(self, maps: Tensor) -> Tensor:
        chunks = self.expand(maps).chunk(len(self.parts), dim=1)
        filtered = [part(chunk) for part, chunk in zip(self.parts, chunks, strict=True)]
        inner = self.project(self.gate(F.relu(self.norm(torch.cat(filtered, dim=1)))))
        return F.relu(inner + self.shortcut(maps))


class RegSegDecoder(Head):
    """Each map thinned; the two deep ones added, the shallow one concatenated.

    Args:
        features: maps of stride 4, 8 and 16.
    """

    out_channels, out_stride = 64, 4

    def __init__(self, features: Sequence[FeatureInfo]) -> None:
        super().__init__()
        quarter, eighth, sixteenth = (feature.channels for feature in features)
        self.thin = nn.ModuleList(
            [
                conv_bn(quarter, 8, relu=True),
                conv_bn(eighth, 128, relu=True),
                conv_bn(sixteenth, 128, relu=True),
            ]
        )
        self.merge = conv_bn(128, 64, 3, relu=True)
        self.project = conv_bn(64 + 8, 64, 3, relu=True)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        quarter, eighth, sixteenth = (
            thin(maps) for thin, maps in zip(self.thin, features, strict=True)
        )
        merged = self.merge(eighth + enlarged(sixteenth, eighth))
        maps: Tensor = self.project(torch.cat([enlarged(merged, quarter), quarter], dim=1))
        return maps


def regseg(classes: int, dropout: float = 0.0) -> Segmenter:
    """Return RegSeg; see :class:`DilatedTrunk` and :class:`RegSegDecoder`.

    Source:
        Gao, "Rethink Dilated Convolution for Real-time Semantic Segmentation", 2021,
        arXiv:2111.09957; the pooling of shortcuts rounds up as in RolandGao/RegSeg.
    """
    trunk = DilatedTrunk()
    return Segmenter(trunk, RegSegDecoder(trunk.features), classes, dropout)
