"""DDRNet: a fine and a coarse branch that exchange maps twice; logits at stride 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.backbone import Trunk
from segdistill.models.context import DeepAggregation
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.residual import Bottleneck, basic_stage, conv_bn, enlarged, stem
from segdistill.models.segmenter import Segmenter

_CONTEXT_WIDTH = 128
_WIDTHS = {"23_slim": (32, 64), "23": (64, 128)}
"""Width of the stem and of the head, by variant: Pan et al. 2022."""


class DualResolution(Trunk):
    """The two branches: the fine one stays at stride 8, the coarse one ends at 64.

    The maps are the fine branch's last, the fine branch's after the first exchange, which the
    auxiliary head reads, and the coarse branch's last, not rectified.

    Args:
        width: channels of the stem; every other width is a multiple of it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        fine = 2 * width
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.features = (
            FeatureInfo(2 * fine, 8),
            FeatureInfo(fine, 8),
            FeatureInfo(16 * width, 64),
        )
        self.stem = stem(width)
        self.stage1 = basic_stage(width, width, 2)
        self.stage2 = basic_stage(width, fine, 2, stride=2)
        self.coarse3 = basic_stage(fine, 4 * width, 2, stride=2)
        self.coarse4 = basic_stage(4 * width, 8 * width, 2, stride=2)
        self.coarse5 = Bottleneck(8 * width, 8 * width, stride=2)
        self.fine3 = basic_stage(fine, fine, 2)
        self.fine4 = basic_stage(fine, fine, 2)
        self.fine5 = Bottleneck(fine, fine)
        self.up3 = conv_bn(4 * width, fine)
        self.up4 = conv_bn(8 * width, fine)
        self.down3 = conv_bn(fine, 4 * width, 3, 2)
        self.down4 = nn.Sequential(
            conv_bn(fine, 4 * width, 3, 2, relu=True), conv_bn(4 * width, 8 * width, 3, 2)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        shared = F.relu(self.stage2(F.relu(self.stage1(self.stem(images)))))
        coarse, fine = self.coarse3(shared), self.fine3(shared)
        coarse, fine = (
            coarse + self.down3(F.relu(fine)),
            fine + enlarged(self.up3(F.relu(coarse)), fine),
        )
        exchanged = fine
        coarse, fine = self.coarse4(F.relu(coarse)), self.fine4(F.relu(fine))
        coarse, fine = (
            coarse + self.down4(F.relu(fine)),
            fine + enlarged(self.up4(F.relu(coarse)), fine),
        )
        return [self.fine5(F.relu(fine)), exchanged, self.coarse5(F.relu(coarse))]


class DualHead(Head):
    """Pyramid pooling on the coarse map, added to the fine one, and a 3x3 convolution.

    Args:
        features: the fine map first, the coarse one last.
        width: channels of the result.
    """

    pools_image = True

    def __init__(self, features: Sequence[FeatureInfo], width: int) -> None:
        super().__init__()
        fine = features[0].channels
        self.out_channels, self.out_stride = width, features[0].stride
        self.context = DeepAggregation(features[-1].channels, _CONTEXT_WIDTH, fine)
        self.refine = nn.Sequential(
            nn.BatchNorm2d(fine), nn.ReLU(inplace=True), conv_bn(fine, width, 3, relu=True)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        fine = features[0]
        maps: Tensor = self.refine(fine + enlarged(self.context(features[-1]), fine))
        return maps


def ddrnet(
    classes: int,
    variant: Literal["23_slim", "23"] = "23_slim",
    dropout: float = 0.0,
    auxiliary: bool = True,
) -> Segmenter:
    """Return DDRNet-23-slim or DDRNet-23; see :class:`DualResolution`.

    The auxiliary head of training reads the fine branch after the first exchange of maps.

    Source:
        Pan, Hong, Sun and Jia, "Deep Dual-Resolution Networks for Real-Time and Accurate
        Semantic Segmentation of Traffic Scenes", IEEE T-ITS 2022; details of the first
        exchange as in the authors' ydhongHIT/DDRNet.
    """
    width, head = _WIDTHS[variant]
    trunk = DualResolution(width)
    return Segmenter(trunk, DualHead(trunk.features, head), classes, dropout, auxiliary, head)
