"""The head of SegFormer: each map through one linear layer, all side by side, one more."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.heads.blocks import conv_bn_relu
from segdistill.models.heads.fpn import pyramid_levels
from segdistill.models.heads.head import FeatureInfo, Head


class AllMlp(Head):
    """The all-MLP decoder.

    Each map of stride 4 and more goes through a linear layer of its channels and to the
    shallowest one's size; all are concatenated, deepest first, and mixed by another.

    Args:
        features: the backbone's maps, shallowest first.
        width: channels of every map of the head.

    Source:
        Xie, Wang, Yu, Anandkumar, Alvarez and Luo, "SegFormer: Simple and Efficient Design
        for Semantic Segmentation with Transformers", NeurIPS 2021, Sec. 3.2; batch norm and
        ReLU after the last linear layer as in the authors' NVlabs/SegFormer.
    """

    def __init__(self, features: Sequence[FeatureInfo], width: int = 256) -> None:
        super().__init__()
        self.levels = pyramid_levels("AllMlp", features)
        self.out_channels = width
        self.out_stride = features[self.levels[0]].stride
        self.projections = nn.ModuleList(
            nn.Conv2d(features[level].channels, width, 1) for level in self.levels
        )
        self.fuse = conv_bn_relu(len(self.levels) * width, width)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        size = features[self.levels[0]].shape[2:]
        views = [
            F.interpolate(projection(features[level]), size, mode="bilinear", align_corners=False)
            for level, projection in zip(self.levels, self.projections, strict=True)
        ]
        maps: Tensor = self.fuse(torch.cat(views[::-1], dim=1))
        return maps
