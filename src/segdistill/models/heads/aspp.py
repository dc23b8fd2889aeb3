"""The head of DeepLabV3: one map looked at with several dilations at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segdistill.models.heads.blocks import conv_bn_relu
from segdistill.models.heads.head import FeatureInfo, Head


def scaled_rates(stride: int) -> tuple[int, int, int]:
    """Return the dilations that see the same part of the image at any stride.

    They are 6, 12, 18 at stride 16 and 12, 24, 36 at stride 8 (DeepLabV3, Sec. 3.3).
    """
    return (96 // stride, 192 // stride, 288 // stride)


class AtrousPyramid(Head):
    """Atrous spatial pyramid pooling (ASPP).

    A 1x1 convolution, dilated 3x3 convolutions and a pooled image feature, each ``width``
    wide, are concatenated and projected to ``width`` channels.

    Args:
        features: the backbone's maps, shallowest first.
        width: channels of each branch and of the result.
        rates: dilations of the 3x3 branches; None takes :func:`scaled_rates`. Without any
            it is the reduced head of the MobileNetV2 paper.
        separable: make the 3x3 convolutions depthwise-separable.
        refine: add a 3x3 convolution after the projection, as torchvision and CIRKD do
            and the paper does not.

    Source:
        Chen, Papandreou, Schroff and Adam, "Rethinking Atrous Convolution for Semantic
        Image Segmentation", 2017, arXiv:1706.05587, Sec. 3.3. The reduced head: Sandler
        et al., "MobileNetV2", CVPR 2018, Sec. 6.3.
    """

    pools_image = True

    def __init__(
        self,
        features: Sequence[FeatureInfo],
        width: int = 256,
        rates: tuple[int, ...] | None = None,
        separable: bool = False,
        refine: bool = False,
    ) -> None:
        super().__init__()
        last = features[-1]
        rates = scaled_rates(last.stride) if rates is None else tuple(rates)
        self.out_channels = width
        self.out_stride = last.stride
        self.branches = nn.ModuleList(
            [
                conv_bn_relu(last.channels, width),
                *(
                    conv_bn_relu(last.channels, width, kernel=3, dilation=rate, separable=separable)
                    for rate in rates
                ),
            ]
        )
        self.image = conv_bn_relu(last.channels, width)
        self.project = conv_bn_relu((len(rates) + 2) * width, width)
        self.refine = (
            conv_bn_relu(width, width, kernel=3, separable=separable) if refine else nn.Identity()
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        last = features[-1]
        pooled = self.image(last.mean(dim=(2, 3), keepdim=True))
        views = [branch(last) for branch in self.branches]
        views.append(pooled.expand(-1, -1, last.shape[2], last.shape[3]))
        maps: Tensor = self.refine(self.project(torch.cat(views, dim=1)))
        return maps
