"""The head of UPerNet: pyramid pooling on the last map, and a feature pyramid below it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.heads.blocks import conv_bn_relu
from segdistill.models.heads.fpn import pyramid_levels
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.heads.psp import PyramidPooling


class UnifiedPerceptual(Head):
    """Pyramid pooling on the last map, a feature pyramid below it, and all of it fused.

    Args:
        features: the backbone's maps, shallowest first; those of stride 4 and more are read.
        width: channels of every map of the head.
        bins: cells per side of each grid of the pyramid pooling.
        separable: make the 3x3 convolutions depthwise-separable.

    Source:
        Xiao, Liu, Zhou, Jiang and Sun, "Unified Perceptual Parsing for Scene Understanding",
        ECCV 2018, the branch of the pixels' classes.
    """

    def __init__(
        self,
        features: Sequence[FeatureInfo],
        width: int = 512,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        separable: bool = False,
    ) -> None:
        super().__init__()
        self.levels = pyramid_levels("UnifiedPerceptual", features)
        self.out_channels = width
        self.out_stride = features[self.levels[0]].stride
        self.context = PyramidPooling(features, width, bins, width, separable)
        self.smallest_map = self.context.smallest_map
        self.pools_image = self.context.pools_image
        self.laterals = nn.ModuleList(
            conv_bn_relu(features[level].channels, width) for level in self.levels[:-1]
        )
        self.smooth = nn.ModuleList(
            conv_bn_relu(width, width, kernel=3, separable=separable) for _ in self.laterals
        )
        self.fuse = conv_bn_relu(len(self.levels) * width, width, kernel=3, separable=separable)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        merged = self.context(features)
        views = [merged]
        for level in reversed(range(len(self.laterals))):
            lateral = self.laterals[level](features[self.levels[level]])
            merged = lateral + _enlarged(merged, lateral)
            views.insert(0, self.smooth[level](merged))
        maps: Tensor = self.fuse(torch.cat([_enlarged(view, views[0]) for view in views], dim=1))
        return maps


def _enlarged(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, like.shape[2:], mode="bilinear", align_corners=False)
