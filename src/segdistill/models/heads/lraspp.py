"""The light head of MobileNetV3: a gated deep map and a shallow one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.heads.blocks import conv_bn_relu
from segdistill.models.heads.head import FeatureInfo, Head


class LiteAtrousPyramid(Head):
    """Lite reduced atrous spatial pyramid pooling (LR-ASPP).

    The last map, ``width`` wide and gated by channel from its image average, is brought to
    the size of the first map of stride 8 and concatenated with it. One 1x1 classifier on the
    two together computes the sum of the paper's two classifiers.

    Args:
        features: the backbone's maps, shallowest first.
        width: channels of the deep part.

    Source:
        Howard et al., "Searching for MobileNetV3", ICCV 2019, Sec. 5.3 and Fig. 10; the
        gate averages the whole image, as torchvision's does, where the paper averages
        windows of 49x49.
    """

    def __init__(self, features: Sequence[FeatureInfo], width: int = 128) -> None:
        super().__init__()
        last = features[-1]
        strides = [feature.stride for feature in features]
        if 8 not in strides or len(features) < 2:
            raise ValueError(
                f"LiteAtrousPyramid: expected a backbone with a map of stride 8, got strides "
                f"{strides}; choose another backbone or another network"
            )
        self.shallow = strides.index(8)
        self.out_channels = width + features[self.shallow].channels
        self.out_stride = 8
        self.deep = conv_bn_relu(last.channels, width)
        self.gate = nn.Conv2d(last.channels, width, 1, bias=False)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        last, shallow = features[-1], features[self.shallow]
        gate = torch.sigmoid(self.gate(last.mean(dim=(2, 3), keepdim=True)))
        deep = F.interpolate(
            self.deep(last) * gate, shallow.shape[2:], mode="bilinear", align_corners=False
        )
        return torch.cat([deep, shallow], dim=1)
