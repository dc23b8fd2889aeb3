"""PIDNet: branches for detail, context and boundaries; logits at stride 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.backbone import Trunk
from segdistill.models.context import ParallelAggregation
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.residual import BasicBlock, Bottleneck, basic_stage, conv_bn, enlarged, stem
from segdistill.models.segmenter import Segmenter

_CONTEXT_WIDTH, _HEAD_WIDTH = 96, 128
_WIDTHS = {"small": 32, "medium": 64}
"""Channels of the stem by variant: Xu et al. 2023; the context's and the head's width of
both from the authors' XuJiacong/PIDNet."""


class ThreeBranches(Trunk):
    """The branches for detail (P), context (I) and boundaries (D).

    The maps are the last of P, the last of D, P after the first exchange, which the auxiliary
    head reads, and the last of I; none is rectified.

    Args:
        width: channels of the stem; every other width is a multiple of it.
        blocks: of the context branch at stride 16 and at 32.
    """

    def __init__(self, width: int, blocks: int = 3) -> None:
        super().__init__()
        fine = 2 * width
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.features = (
            FeatureInfo(2 * fine, 8),
            FeatureInfo(2 * fine, 8),
            FeatureInfo(fine, 8),
            FeatureInfo(16 * width, 64),
        )
        self.stem = stem(width)
        self.stage1 = basic_stage(width, width, 2)
        self.stage2 = basic_stage(width, fine, 2, stride=2)
        self.context3 = basic_stage(fine, 4 * width, blocks, stride=2)
        self.context4 = basic_stage(4 * width, 8 * width, blocks, stride=2)
        self.context5 = nn.Sequential(
            Bottleneck(8 * width, 8 * width, stride=2),
            nn.ReLU(),
            Bottleneck(16 * width, 8 * width),
        )
        self.detail3 = basic_stage(fine, fine, 2)
        self.detail4 = basic_stage(fine, fine, 2)
        self.detail5 = Bottleneck(fine, fine)
        self.select3 = PixelAttention(fine, 4 * width, width)
        self.select4 = PixelAttention(fine, 8 * width, width)
        self.boundary3 = BasicBlock(fine, width)
        self.boundary4 = Bottleneck(width, width)
        self.boundary5 = Bottleneck(fine, fine)
        self.differ3 = conv_bn(4 * width, width, 3)
        self.differ4 = conv_bn(8 * width, fine, 3)

    def forward(self, images: Tensor) -> list[Tensor]:
        shared = F.relu(self.stage2(F.relu(self.stage1(self.stem(images)))))
        context = F.relu(self.context3(shared))
        detail = self.select3(self.detail3(shared), context)
        boundary = self.boundary3(shared)
        boundary = boundary + enlarged(self.differ3(context), boundary)
        exchanged = detail
        context = F.relu(self.context4(context))
        detail = self.select4(self.detail4(F.relu(detail)), context)
        boundary = self.boundary4(F.relu(boundary))
        boundary = boundary + enlarged(self.differ4(context), boundary)
        return [
            self.detail5(F.relu(detail)),
            self.boundary5(F.relu(boundary)),
            exchanged,
            self.context5(context),
        ]


class PixelAttention(nn.Module):
    r"""Take each pixel from the fine or the coarse map, as far as the two agree (Pag).

    With embeddings :math:`f` of the fine map :math:`x` and :math:`g` of the coarse map
    :math:`y`, resized,

    .. math:: \sigma = \mathrm{sigmoid}(f(x) \cdot g(y)), \quad z = \sigma y + (1 - \sigma) x

    Args:
        fine: channels of the fine map and of the result.
        coarse: channels of the coarse map, which is thinned to ``fine``.
        width: channels of the embeddings.

    Source:
        Xu et al., CVPR 2023.
    """

    def __init__(self, fine: int, coarse: int, width: int) -> None:
        super().__init__()
        self.thin = conv_bn(coarse, fine)
        self.embed_fine = conv_bn(fine, width)
        self.embed_coarse = conv_bn(fine, width)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        coarse = self.thin(coarse)
        products = self.embed_fine(fine) * enlarged(self.embed_coarse(coarse), fine)
        agreement = torch.sigmoid(products.sum(dim=1, keepdim=True))
        return agreement * enlarged(coarse, fine) + (1 - agreement) * fine


class BoundaryGuided(Head):
    """Pyramid pooling on the context, merged with the detail away from boundaries (Light-Bag).

    Args:
        features: detail, boundary, one that is not read, context.

    Source:
        Xu et al., CVPR 2023.
    """

    pools_image = True

    def __init__(self, features: Sequence[FeatureInfo]) -> None:
        super().__init__()
        fine = features[0].channels
        self.out_channels, self.out_stride = _HEAD_WIDTH, features[0].stride
        self.pool = ParallelAggregation(features[-1].channels, _CONTEXT_WIDTH, fine)
        self.merge_detail = conv_bn(fine, fine)
        self.merge_context = conv_bn(fine, fine)
        self.refine = nn.Sequential(
            nn.BatchNorm2d(fine), nn.ReLU(inplace=True), conv_bn(fine, _HEAD_WIDTH, 3, relu=True)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        detail, boundary, _, context = features
        context = enlarged(self.pool(context), detail)
        edge = torch.sigmoid(boundary)
        merged = self.merge_detail(detail + (1 - edge) * context)
        merged = merged + self.merge_context(context + edge * detail)
        maps: Tensor = self.refine(merged)
        return maps


def pidnet(
    classes: int,
    variant: Literal["small", "medium"] = "small",
    dropout: float = 0.0,
    auxiliary: bool = True,
) -> Segmenter:
    """Return PIDNet-S or PIDNet-M; see :class:`ThreeBranches` and :class:`BoundaryGuided`.

    The auxiliary head of training reads the detail branch after the first exchange. The
    paper's boundary head, which needs labels of boundaries, is not trained here.

    Source:
        Xu, Xiong and Bhattacharyya, "PIDNet: A Real-time Semantic Segmentation Network
        Inspired by PID Controllers", CVPR 2023.
    """
    trunk = ThreeBranches(_WIDTHS[variant])
    head = BoundaryGuided(trunk.features)
    return Segmenter(trunk, head, classes, dropout, auxiliary, _HEAD_WIDTH)
