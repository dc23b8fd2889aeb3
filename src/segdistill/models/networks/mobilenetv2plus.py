"""MobileNetV2Plus: every stage of a dilated MobileNetV2, ASPP and a shallow skip."""

from __future__ import annotations

from collections.abc import Sequence

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.backbone import Trunk
from segdistill.models.checkpoints.pretrained import timm_arguments
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.segmenter import Segmenter

_STRIDES = (2, 4, 8, 8, 8, 8, 8)
_DILATIONS = (1, 1, 1, 2, 4, 8, 16)


class EveryStage(Trunk):
    """MobileNetV2 that returns each of its seven stages, the last four dilated 2 to 16.

    Args:
        pretrained: load timm's ImageNet weights.
    """

    published = "mobilenetv2_100"

    def __init__(self, pretrained: bool = False) -> None:
        super().__init__()
        weights = timm_arguments(self.published) if pretrained else {}
        body = timm.create_model(self.published, output_stride=8, **weights)
        self.stem = nn.Sequential(body.conv_stem, body.bn1)
        self.stages = body.blocks
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        widths = (16, 24, 32, 64, 96, 160, 320)
        self.features = tuple(map(FeatureInfo, widths, _STRIDES))
        for stage, dilation in zip(self.stages, _DILATIONS, strict=True):
            for module in stage.modules():
                if isinstance(module, nn.Conv2d) and module.groups > 1 and module.stride == (1, 1):
                    module.dilation = module.padding = (dilation, dilation)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]

    def published_name(self, name: str) -> str:
        """Return what timm's MobileNetV2 calls a tensor of this module's state."""
        part, _, rest = name.partition(".")
        if part == "stages":
            return f"blocks.{rest}"
        layer, _, tensor = rest.partition(".")
        return f"{('conv_stem', 'bn1')[int(layer)]}.{tensor}"


class PlusHead(Head):
    """The head of MobileNetV2Plus: ASPP on all stages together, and two shallow maps.

    Args:
        features: seven maps, shallowest first.
        width: channels of each branch of ASPP.
        rates: dilations of its 3x3 branches.
        dropout: share of values dropped after ASPP.

    Source:
        Liu, "LightNet: Light-weight Networks for Semantic Image Segmentation",
        ansleliu/LightNet, described there; the student that Liu et al., CVPR 2019, call
        MobileNetV2Plus. There the shallow maps are pooled without padding, which only
        fits images whose sides are multiples of 8; here with padding, which fits any.
    """

    def __init__(
        self,
        features: Sequence[FeatureInfo],
        width: int = 256,
        rates: tuple[int, ...] = (12, 24, 36),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        joined = sum(feature.channels for feature in features)
        self.out_stride = 4
        self.out_channels = width + features[0].channels + features[1].channels
        self.join = SqueezeExcite(joined)
        self.before = _norm_act(joined)
        self.branches = nn.ModuleList(
            [
                nn.Conv2d(joined, width, 1, bias=False),
                *(
                    nn.Conv2d(joined, width, 3, padding=rate, dilation=rate, bias=False)
                    for rate in rates
                ),
            ]
        )
        self.image = nn.Conv2d(joined, width, 1, bias=False)
        self.project = nn.Sequential(
            _norm_act((len(rates) + 2) * width),
            nn.Conv2d((len(rates) + 2) * width, width, 1, bias=False),
            _norm_act(width),
            nn.Dropout2d(dropout),
        )
        self.skip = SqueezeExcite(self.out_channels)
        self.refine = nn.Sequential(
            _norm_act(self.out_channels),
            nn.Conv2d(self.out_channels, self.out_channels, 3, padding=2, dilation=2, bias=False),
            _norm_act(self.out_channels),
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        half, quarter, *deep = features
        shallow = F.max_pool2d(half, 3, stride=2, padding=1)
        eighths = [
            F.max_pool2d(shallow, 3, stride=2, padding=1),
            F.max_pool2d(quarter, 3, stride=2, padding=1),
        ]
        joined = self.before(self.join(torch.cat([*deep, *eighths], dim=1)))
        pooled = self.image(joined.mean(dim=(2, 3), keepdim=True))
        views = [branch(joined) for branch in self.branches]
        views.append(pooled.expand(-1, -1, joined.shape[2], joined.shape[3]))
        context = F.interpolate(
            self.project(torch.cat(views, dim=1)),
            quarter.shape[2:],
            mode="bilinear",
            align_corners=False,
        )
        maps: Tensor = self.refine(self.skip(torch.cat([context, quarter, shallow], dim=1)))
        return maps


class SqueezeExcite(nn.Module):
    """Weigh channels by the image's average and positions by their own values; add the two.

    Args:
        channels: width of the map.
        reduction: factor by which the channels' gate is thinner inside.

    Source:
        Roy, Navab and Wachinger, "Concurrent Spatial and Channel Squeeze & Excitation in
        Fully Convolutional Networks", MICCAI 2018.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.channel = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // reduction, channels, 1),
        )
        self.position = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        channel = torch.sigmoid(self.channel(maps.mean(dim=(2, 3), keepdim=True)))
        return maps * (channel + torch.sigmoid(self.position(maps)))


def mobilenetv2plus(classes: int, pretrained: bool = False) -> Segmenter:
    """Return MobileNetV2Plus; see :class:`PlusHead`. Its logits have stride 4."""
    trunk = EveryStage(pretrained)
    return Segmenter(trunk, PlusHead(trunk.features), classes, dropout=0.0)


def _norm_act(channels: int) -> nn.Sequential:
    # The authors' activated norm leaks 0.01 below zero (InPlaceABN's default).
    return nn.Sequential(nn.BatchNorm2d(channels), nn.LeakyReLU(0.01, inplace=True))
