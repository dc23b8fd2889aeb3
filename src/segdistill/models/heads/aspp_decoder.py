"""The head of DeepLabV3+: a dilated pyramid on the last map, sharpened by a shallow one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.heads.aspp import AtrousPyramid
from segdistill.models.heads.blocks import conv_bn_relu
from segdistill.models.heads.head import FeatureInfo, Head


class AtrousDecoder(Head):
    """Atrous spatial pyramid pooling, and a decoder to the stride of a shallow map.

    The pyramid's result, resized, is concatenated with the first map of stride 4, which a 1x1
    convolution makes ``shallow_width`` wide, and two 3x3 convolutions mix them.

    Args:
        features: the backbone's maps, shallowest first.
        width: channels of the pyramid and of the result.
        rates: as of :class:`AtrousPyramid`.
        shallow_width: channels that the shallow map is reduced to.
        separable: make the 3x3 convolutions depthwise-separable.

    Raises:
        ValueError: the backbone has no map of stride 4 above its last one.

    Source:
        Chen, Zhu, Papandreou, Schroff and Adam, "Encoder-Decoder with Atrous Separable
        Convolution for Semantic Image Segmentation", ECCV 2018, Sec. 3.1 and 4.1.
    """

    pools_image = True

    def __init__(
        self,
        features: Sequence[FeatureInfo],
        width: int = 256,
        rates: tuple[int, ...] | None = None,
        shallow_width: int = 48,
        separable: bool = False,
    ) -> None:
        super().__init__()
        strides = [feature.stride for feature in features[:-1]]
        if 4 not in strides:
            raise ValueError(
                "AtrousDecoder: expected a backbone with a map of stride 4 above its last one, got "
                f"strides {[feature.stride for feature in features]}; choose another backbone, or "
                "network deeplabv3, which has no decoder"
            )
        self.level = strides.index(4)
        self.out_channels = width
        self.out_stride = 4
        self.pyramid = AtrousPyramid(features, width, rates, separable)
        self.shallow = conv_bn_relu(features[self.level].channels, shallow_width)
        self.mix = nn.Sequential(
            conv_bn_relu(width + shallow_width, width, kernel=3, separable=separable),
            conv_bn_relu(width, width, kernel=3, separable=separable),
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        shallow = self.shallow(features[self.level])
        deep = F.interpolate(
            self.pyramid(features), shallow.shape[2:], mode="bilinear", align_corners=False
        )
        maps: Tensor = self.mix(torch.cat([deep, shallow], dim=1))
        return maps
