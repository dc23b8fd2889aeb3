"""The head of the semantic feature pyramid: deep maps enrich shallow ones, then all are added."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.heads.blocks import conv_bn_relu
from segdistill.models.heads.head import FeatureInfo, Head


def pyramid_levels(caller: str, features: Sequence[FeatureInfo]) -> tuple[int, ...]:
    """Return the positions of the maps that a head for shallow maps reads: stride 4 and more.

    Raises:
        ValueError: the backbone has fewer than two such maps.
    """
    levels = tuple(index for index, feature in enumerate(features) if feature.stride >= 4)
    if len(levels) < 2:
        raise ValueError(
            f"{caller}: expected a backbone with at least two maps of stride 4 or more, got "
            f"strides {[feature.stride for feature in features]}; choose another backbone or "
            "another network"
        )
    return levels


class FeaturePyramid(Head):
    """The semantic head of a feature pyramid network (Panoptic FPN).

    Every map of stride 4 or more is brought to ``pyramid`` channels; from the deepest on each
    is enlarged and added to the next shallower one. A tower of 3x3 convolutions, one for each
    doubling, then brings each to the shallowest one's size, where all are added up.

    Args:
        features: the backbone's maps, shallowest first.
        pyramid: channels of the pyramid's maps.
        width: channels of the towers and of the result.
        smooth: filter each map of the pyramid with a 3x3 convolution, as the paper does.
        separable: make the 3x3 convolutions of the towers depthwise-separable.

    Source:
        Kirillov, Girshick, He and Dollár, "Panoptic Feature Pyramid Networks", CVPR 2019,
        Sec. 3.1; the pyramid: Lin et al., "Feature Pyramid Networks for Object Detection",
        CVPR 2017. The paper has group norm in the towers; here it is batch norm, which is
        folded away in delivery and which PVT's counted form has too.
    """

    def __init__(
        self,
        features: Sequence[FeatureInfo],
        pyramid: int = 256,
        width: int = 128,
        smooth: bool = True,
        separable: bool = False,
    ) -> None:
        super().__init__()
        self.levels = pyramid_levels("FeaturePyramid", features)
        strides = [features[level].stride for level in self.levels]
        self.out_channels = width
        self.out_stride = strides[0]
        self.laterals = nn.ModuleList(
            nn.Conv2d(features[level].channels, pyramid, 1) for level in self.levels
        )
        self.smooth = nn.ModuleList(
            nn.Conv2d(pyramid, pyramid, 3, padding=1) if smooth else nn.Identity()
            for _ in self.levels
        )
        shallower = [[s for s in sorted(set(strides)) if s < stride] for stride in strides]
        # The levels whose size a tower takes on, one after the other; none if it has it.
        self.climbs = [[strides.index(s) for s in reversed(steps)] for steps in shallower]
        self.towers = nn.ModuleList(
            nn.ModuleList(
                conv_bn_relu(before, after, kernel=3, separable=separable)
                for before, after in pairwise([pyramid, *[width] * max(len(climb), 1)])
            )
            for climb in self.climbs
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        read = [features[level] for level in self.levels]
        merged = self.laterals[-1](read[-1])
        pyramid = [merged]
        for lateral, maps in zip(list(self.laterals)[-2::-1], read[-2::-1], strict=True):
            merged = lateral(maps) + F.interpolate(merged, maps.shape[2:], mode="nearest")
            pyramid.insert(0, merged)
        views = []
        for level, (smooth, tower) in enumerate(zip(self.smooth, self.towers, strict=True)):
            maps = smooth(pyramid[level])
            assert isinstance(tower, nn.ModuleList)
            for step, convolution in enumerate(tower):
                maps = convolution(maps)
                if self.climbs[level]:
                    size = read[self.climbs[level][step]].shape[2:]
                    maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
            views.append(maps)
        return torch.stack(views).sum(dim=0)
