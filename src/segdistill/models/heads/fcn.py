"""The plain head: 3x3 convolutions on the last map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from segdistill.models.heads.blocks import conv_bn_relu
from segdistill.models.heads.head import FeatureInfo, Head


class FullyConvolutional(Head):
    """3x3 convolutions on the backbone's last map.

    Args:
        features: the backbone's maps, shallowest first.
        width: channels of the result; None takes a quarter of the last map's, as
            torchvision and the auxiliary heads of PSPNet do.
        convolutions: number of convolutions, one after the other.
        separable: make them depthwise-separable.

    Source:
        Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic
        Segmentation", CVPR 2015; the form with one 3x3 convolution is torchvision's.
    """

    def __init__(
        self,
        features: Sequence[FeatureInfo],
        width: int | None = None,
        convolutions: int = 1,
        separable: bool = False,
    ) -> None:
        super().__init__()
        last = features[-1]
        self.out_channels = last.channels // 4 if width is None else width
        self.out_stride = last.stride
        widths = [last.channels] + [self.out_channels] * convolutions
        self.blocks = nn.Sequential(
            *(
                conv_bn_relu(before, after, kernel=3, separable=separable)
                for before, after in pairwise(widths)
            )
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps: Tensor = self.blocks(features[-1])
        return maps
