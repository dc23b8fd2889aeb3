"""PP-LiteSeg: STDC's backbone with a decoder that thins towards fine maps; logits at stride 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.heads.psp import adaptive_average
from segdistill.models.residual import conv_bn, enlarged
from segdistill.models.segmenter import Segmenter
from segdistill.models.stdc import ShortTermDense

_BINS = (1, 2, 4)
_CONTEXT = 128
_VARIANTS: dict[str, tuple[str, tuple[int, int, int], int]] = {
    "tiny": ("stdc1", (32, 64, 128), 32),
    "base": ("stdc2", (64, 96, 128), 64),
}
"""Backbone, widths of the decoder at stride 8, 16 and 32, and width of the last map, by variant:
Peng et al. 2022 and the authors' PaddlePaddle/PaddleSeg."""


class FlexibleDecoder(Head):
    """Averages over three grids, then one fusion with a finer map after the other (FLD).

    Args:
        features: maps of stride 8, 16 and 32.
        widths: channels of the decoder's maps at those strides.
        width: channels of the result.

    Source:
        Peng et al., "PP-LiteSeg: A Superior Real-Time Semantic Segmentation Model", 2022,
        arXiv:2204.02681, Sec. 3.
    """

    pools_image = True
    smallest_map = max(_BINS)

    def __init__(
        self, features: Sequence[FeatureInfo], widths: tuple[int, int, int], width: int
    ) -> None:
        super().__init__()
        self.out_channels, self.out_stride = width, features[0].stride
        self.grids = nn.ModuleList(
            conv_bn(features[-1].channels, _CONTEXT, relu=True) for _ in _BINS
        )
        self.context = conv_bn(_CONTEXT, _CONTEXT, 3, relu=True)
        self.fusions = nn.ModuleList(
            AttentionFusion(feature.channels, deep, out)
            for feature, deep, out in zip(features, (*widths[1:], _CONTEXT), widths, strict=True)
        )
        self.project = conv_bn(widths[0], width, 3, relu=True)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        last = features[-1]
        views = [
            enlarged(grid(adaptive_average(last, bins)), last)
            for grid, bins in zip(self.grids, _BINS, strict=True)
        ]
        maps = self.context(torch.stack(views).sum(dim=0))
        for level in reversed(range(len(features))):
            maps = self.fusions[level](features[level], maps)
        result: Tensor = self.project(maps)
        return result


class AttentionFusion(nn.Module):
    r"""Take each pixel from the fine or the deep map, by spatial attention (UAFM).

    From the mean and the maximum over the channels of both maps, two convolutions compute a
    weight :math:`\alpha` per pixel, and :math:`\alpha \, deep + (1 - \alpha) \, fine` follows.

    Args:
        fine: channels of the fine map, which is brought to ``deep`` channels first.
        deep: channels of the deep map, which is enlarged.
        width: channels of the result.
    """

    def __init__(self, fine: int, deep: int, width: int) -> None:
        super().__init__()
        self.thin = conv_bn(fine, deep, 3, relu=True)
        self.weigh = nn.Sequential(conv_bn(4, 2, 3, relu=True), conv_bn(2, 1, 3))
        self.project = conv_bn(deep, width, 3, relu=True)

    def forward(self, fine: Tensor, deep: Tensor) -> Tensor:
        fine = self.thin(fine)
        deep = enlarged(deep, fine)
        seen = [
            summary
            for maps in (fine, deep)
            for summary in (maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True))
        ]
        weight = torch.sigmoid(self.weigh(torch.cat(seen, dim=1)))
        result: Tensor = self.project(weight * deep + (1 - weight) * fine)
        return result


def pp_liteseg(
    classes: int,
    variant: Literal["tiny", "base"] = "tiny",
    dropout: float = 0.0,
    auxiliary: bool = True,
) -> Segmenter:
    """Return PP-LiteSeg-T or PP-LiteSeg-B; see :class:`FlexibleDecoder`.

    The auxiliary head of training reads the backbone's map of stride 16, where the authors'
    two read the decoder's maps.
    """
    backbone, widths, width = _VARIANTS[variant]
    trunk = ShortTermDense(backbone)
    head = FlexibleDecoder(trunk.features, widths, width)
    return Segmenter(trunk, head, classes, dropout, auxiliary, 64)
