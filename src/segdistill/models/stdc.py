"""The backbone of STDC: blocks whose convolutions halve in width, all their maps side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segdistill.models.backbone import Trunk
from segdistill.models.heads.head import FeatureInfo
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.residual import conv_bn

REPEATS: dict[str, tuple[int, int, int]] = {"stdc1": (2, 2, 2), "stdc2": (4, 5, 3)}
"""Modules of each of the stages at stride 8, 16 and 32, by name: Fan et al. 2021."""

_WIDTHS = (256, 512, 1024)


class ShortTermDense(Trunk):
    """The STDC backbone, with maps of stride 8, 16 and 32.

    Args:
        name: a key of ``REPEATS``.

    Source:
        Fan, Lai, Huang, Wei, Chai, Luo and Wei, "Rethinking BiSeNet For Real-time Semantic
        Segmentation", CVPR 2021.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.features = tuple(map(FeatureInfo, _WIDTHS, (8, 16, 32)))
        self.stem = nn.Sequential(conv_bn(3, 32, 3, 2, relu=True), conv_bn(32, 64, 3, 2, relu=True))
        self.stages = nn.ModuleList(
            nn.Sequential(
                DenseModule(before, after, stride=2),
                *(DenseModule(after, after) for _ in range(repeats - 1)),
            )
            for before, after, repeats in zip((64, *_WIDTHS), _WIDTHS, REPEATS[name], strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.stem(images)
        results = []
        for stage in self.stages:
            maps = stage(maps)
            results.append(maps)
        return results


class DenseModule(nn.Module):
    """A short-term dense concatenate module: four convolutions, concatenated.

    They have a half, a quarter, an eighth and an eighth of the channels. With stride 2 the
    first one's map is averaged and the second filters it strided, channel by channel, first.

    Args:
        in_channels: width of the map.
        width: of the result.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        half = width // 2
        self.first = conv_bn(in_channels, half, relu=True)
        self.skip: nn.Module = nn.Identity()
        self.down: nn.Module = nn.Identity()
        if stride == 2:
            self.skip = nn.AvgPool2d(3, stride=2, padding=1)
            self.down = conv_bn(half, half, 3, 2, groups=half)
        self.rest = nn.ModuleList(
            [
                conv_bn(half, width // 4, 3, relu=True),
                conv_bn(width // 4, width // 8, 3, relu=True),
                conv_bn(width // 8, width // 8, 3, relu=True),
            ]
        )

    def forward(self, maps: Tensor) -> Tensor:
        first = self.first(maps)
        views = [self.skip(first)]
        maps = self.down(first)
        for convolution in self.rest:
            maps = convolution(maps)
            views.append(maps)
        return torch.cat(views, dim=1)
