"""STDC-Seg: a backbone of dense modules with BiSeNet's head; logits at stride 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.residual import conv_bn
from segdistill.models.segmenter import Segmenter
from segdistill.models.stdc import ShortTermDense

_CONTEXT, _FUSED = 128, 256
"""Widths of the context path and of the fused map, from the authors' MichaelFan01/STDC-Seg."""


class ContextFusion(Head):
    """Refined deep maps, brought to stride 8 and fused with the map there, by attention.

    Args:
        features: maps of stride 8, 16 and 32.

    Source:
        Yu, Wang, Peng, Gao, Yu and Sang, "BiSeNet: Bilateral Segmentation Network for
        Real-time Semantic Segmentation", ECCV 2018; as used by Fan et al.,
        CVPR 2021.
    """

    pools_image = True

    def __init__(self, features: Sequence[FeatureInfo]) -> None:
        super().__init__()
        eighth, sixteenth, last = (feature.channels for feature in features)
        self.out_channels, self.out_stride = _FUSED, features[0].stride
        self.image = conv_bn(last, _CONTEXT, relu=True)
        self.refine = nn.ModuleList([AttentionRefinement(last), AttentionRefinement(sixteenth)])
        self.smooth = nn.ModuleList(conv_bn(_CONTEXT, _CONTEXT, 3, relu=True) for _ in range(2))
        self.fuse = conv_bn(eighth + _CONTEXT, _FUSED, relu=True)
        self.gate = nn.Sequential(
            nn.Conv2d(_FUSED, _FUSED // 4, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(_FUSED // 4, _FUSED, 1, bias=False),
            nn.Sigmoid(),
        )
        self.project = conv_bn(_FUSED, _FUSED, 3, relu=True)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        eighth, sixteenth, last = features
        context = self.image(last.mean(dim=(2, 3), keepdim=True))
        steps = zip(self.refine, self.smooth, (last, sixteenth), (sixteenth, eighth), strict=True)
        for refine, smooth, maps, finer in steps:
            context = smooth(F.interpolate(refine(maps) + context, finer.shape[2:], mode="nearest"))
        fused = self.fuse(torch.cat([eighth, context], dim=1))
        fused = fused + fused * self.gate(fused.mean(dim=(2, 3), keepdim=True))
        result: Tensor = self.project(fused)
        return result


class AttentionRefinement(nn.Module):
    """A 3x3 convolution whose channels are weighed by the image's average.

    Args:
        in_channels: width of the map.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.thin = conv_bn(in_channels, _CONTEXT, 3, relu=True)
        self.gate = conv_bn(_CONTEXT, _CONTEXT)

    def forward(self, maps: Tensor) -> Tensor:
        thin = self.thin(maps)
        gated: Tensor = thin * torch.sigmoid(self.gate(thin.mean(dim=(2, 3), keepdim=True)))
        return gated


def stdc(
    classes: int,
    variant: Literal["stdc1", "stdc2"] = "stdc1",
    dropout: float = 0.0,
    auxiliary: bool = True,
) -> Segmenter:
    """Return STDC1-Seg or STDC2-Seg; see :class:`ShortTermDense` and :class:`ContextFusion`.

    The auxiliary head of training reads the backbone's map of stride 16, where the authors'
    two read the context path; their detail head, which needs labels of boundaries, is not
    trained here.

    Source:
        Fan et al., "Rethinking BiSeNet For Real-time Semantic Segmentation", CVPR 2021.
    """
    trunk = ShortTermDense(variant)
    return Segmenter(trunk, ContextFusion(trunk.features), classes, dropout, auxiliary, 64)
