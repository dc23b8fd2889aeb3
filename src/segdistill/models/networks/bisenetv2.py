"""BiSeNetV2: a wide shallow branch for detail, a thin deep one for semantics; stride 8."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.backbone import Trunk
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.residual import conv_bn, enlarged
from segdistill.models.segmenter import Segmenter

_EXPANSION = 6
_WIDTH = 128


class TwoBranches(Trunk):
    """The detail branch's map of stride 8, the semantic branch's of 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.features = (FeatureInfo(_WIDTH, 8), FeatureInfo(64, 16), FeatureInfo(_WIDTH, 32))
        self.detail = nn.Sequential(*(_wide(3, 64, 2) + _wide(64, 64, 3) + _wide(64, _WIDTH, 3)))
        self.stem = Stem(16)
        self.eighth = nn.Sequential(GatherDown(16, 32), Gather(32))
        self.sixteenth = nn.Sequential(GatherDown(32, 64), Gather(64))
        self.last = nn.Sequential(GatherDown(64, _WIDTH), *(Gather(_WIDTH) for _ in range(3)))
        self.embed = ContextEmbedding(_WIDTH)

    def forward(self, images: Tensor) -> list[Tensor]:
        sixteenth = self.sixteenth(self.eighth(self.stem(images)))
        return [self.detail(images), sixteenth, self.embed(self.last(sixteenth))]


def _wide(in_channels: int, width: int, convolutions: int) -> list[nn.Module]:
    """Return a stage of the detail branch, the first convolution strided."""
    return [
        conv_bn(in_channels, width, 3, 2, relu=True),
        *(conv_bn(width, width, 3, relu=True) for _ in range(convolutions - 1)),
    ]


class Stem(nn.Module):
    """A strided convolution, then strided convolutions and pooling side by side: stride 4.

    Args:
        width: channels of the result.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_bn(3, width, 3, 2, relu=True)
        self.left = nn.Sequential(
            conv_bn(width, width // 2, relu=True), conv_bn(width // 2, width, 3, 2, relu=True)
        )
        self.right = nn.MaxPool2d(3, stride=2, padding=1)
        self.fuse = conv_bn(2 * width, width, 3, relu=True)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.first(images)
        result: Tensor = self.fuse(torch.cat([self.left(maps), self.right(maps)], dim=1))
        return result


class Gather(nn.Module):
    """Gather and expansion: a 3x3 convolution, a depthwise one six times as wide, a 1x1, added.

    Args:
        width: channels of the map and of the result.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = _EXPANSION * width
        self.body = nn.Sequential(
            conv_bn(width, width, 3, relu=True),
            conv_bn(width, wide, 3, groups=width, relu=True),
            conv_bn(wide, width),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.body(maps) + maps)


class GatherDown(nn.Module):
    """Gather and expansion with stride 2: two depthwise convolutions, and a shortcut of two.

    Args:
        in_channels: width of the map.
        width: of the result.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        wide = _EXPANSION * in_channels
        self.body = nn.Sequential(
            conv_bn(in_channels, in_channels, 3, relu=True),
            conv_bn(in_channels, wide, 3, 2, groups=in_channels),
            conv_bn(wide, wide, 3, groups=wide, relu=True),
            conv_bn(wide, width),
        )
        self.shortcut = nn.Sequential(
            conv_bn(in_channels, in_channels, 3, 2, groups=in_channels),
            conv_bn(in_channels, width),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.body(maps) + self.shortcut(maps))


class ContextEmbedding(nn.Module):
    """The image's average, added to every position, and a 3x3 convolution.

    Args:
        width: channels of the map and of the result.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.thin = conv_bn(width, width, relu=True)
        self.project = conv_bn(width, width, 3, relu=True)

    def forward(self, maps: Tensor) -> Tensor:
        image = self.thin(self.norm(maps.mean(dim=(2, 3), keepdim=True)))
        result: Tensor = self.project(maps + image)
        return result


class GuidedAggregation(Head):
    """Each branch gated by the other at its own size, both added, and the head's convolution.

    Args:
        features: detail of stride 8, one that is not read, semantics of stride 32.
        width: channels of the result.
    """

    pools_image = True

    def __init__(self, features: Sequence[FeatureInfo], width: int) -> None:
        super().__init__()
        self.out_channels, self.out_stride = width, features[0].stride
        self.detail_fine = _separable()
        self.detail_coarse = nn.Sequential(
            conv_bn(_WIDTH, _WIDTH, 3, 2), nn.AvgPool2d(3, stride=2, padding=1)
        )
        self.semantic_fine = conv_bn(_WIDTH, _WIDTH, 3)
        self.semantic_coarse = _separable()
        self.fuse = conv_bn(_WIDTH, _WIDTH, 3, relu=True)
        self.project = conv_bn(_WIDTH, width, 3, relu=True)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        detail, _, semantic = features
        fine = enlarged(self.semantic_fine(semantic), detail)
        fine = self.detail_fine(detail) * torch.sigmoid(fine)
        coarse = self.detail_coarse(detail) * torch.sigmoid(self.semantic_coarse(semantic))
        maps: Tensor = self.project(self.fuse(fine + enlarged(coarse, fine)))
        return maps


def _separable() -> nn.Sequential:
    return nn.Sequential(
        conv_bn(_WIDTH, _WIDTH, 3, groups=_WIDTH), nn.Conv2d(_WIDTH, _WIDTH, 1, bias=False)
    )


def bisenetv2(
    classes: int, width: int = 1024, dropout: float = 0.1, auxiliary: bool = True
) -> Segmenter:
    """Return BiSeNetV2; see :class:`TwoBranches` and :class:`GuidedAggregation`.

    The auxiliary head of training reads the semantic branch at stride 16, one of the paper's
    four places.

    Source:
        Yu, Gao, Wang, Yu, Shen and Sang, "BiSeNet V2: Bilateral Network with Guided
        Aggregation for Real-time Semantic Segmentation", IJCV 2021; the widths of its Table 1,
        the head's from CoinCheung/BiSeNet.
    """
    trunk = TwoBranches()
    head = GuidedAggregation(trunk.features, width)
    return Segmenter(trunk, head, classes, dropout, auxiliary, _WIDTH)
