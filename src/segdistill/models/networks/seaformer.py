"""SeaFormer: attention over rows and over columns beside a convolution; stride 8."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.backbone import Trunk
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.inverted import InvertedResidual, conv_bn_relu6, feed_forward
from segdistill.models.residual import conv_bn, enlarged
from segdistill.models.segmenter import Segmenter


class _Size(NamedTuple):
    """The widths of a variant; of stages with attention there are as many as keys."""

    stem: int
    levels: tuple[int, ...]  # of the maps at stride 4, 8, 16, 32 and 64
    expansions: tuple[tuple[int, ...], ...]  # of each block of a level
    keys: tuple[int, ...]
    depth: int  # blocks with attention in a stage
    heads: int
    mlp: tuple[int, ...]
    fused: tuple[int, ...]  # widths of the head


_SIZES = {
    "tiny": _Size(
        16,
        (16, 32, 64, 128, 160),
        ((1, 4, 3), (3, 3), (3, 3), (3,), (6,)),
        (16, 24),
        2,
        4,
        (2, 4),
        (64, 96),
    ),
    "small": _Size(
        16,
        (24, 48, 96, 160, 192),
        ((1, 4, 3), (3, 3), (3, 3), (4,), (6,)),
        (16, 24),
        3,
        6,
        (2, 4),
        (96, 128),
    ),
    "base": _Size(
        16,
        (32, 64, 128, 192, 256),
        ((1, 4, 3), (3, 3), (3, 3), (4,), (6,)),
        (16, 24),
        4,
        8,
        (2, 4),
        (128, 160),
    ),
    "large": _Size(
        32,
        (64, 128, 192, 256, 320),
        ((3, 4, 4), (4, 4), (4, 4), (4,), (6,)),
        (16, 20, 24),
        3,
        8,
        (2, 4, 6),
        (128, 160, 192),
    ),
}
"""Wan et al., ICLR 2023, and the configs of fudan-zvg/SeaFormer."""

_KERNELS = (3, 5, 3, 5, 3)
_SHALLOW = 1  # the level whose map the head starts from
_POSITIONS = 16
_DROP_PATH = 0.1


class AxialPyramid(Trunk):
    """A MobileNetV2-like pyramid whose deepest levels end in squeezed axial attention.

    Its maps are that of stride 8 and those of the levels with attention, at stride 32 and 64 (in
    the large variant also 16).

    Args:
        variant: a key of ``_SIZES``.

    Source:
        Wan et al., "SeaFormer: Squeeze-enhanced Axial Transformer for Mobile Semantic
        Segmentation", ICLR 2023, Sec. 3; kernels, expansions, widths and the rate of stochastic
        depth from fudan-zvg/SeaFormer.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        size = _SIZES[variant]
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.first = len(size.levels) - len(size.keys)  # level with attention
        self.features = tuple(
            FeatureInfo(width, 4 << level)
            for level, width in enumerate(size.levels)
            if level == _SHALLOW or level >= self.first
        )
        self.stem = conv_bn_relu6(3, size.stem, 3, 2)
        inputs = (size.stem, *size.levels)
        self.levels = nn.ModuleList(
            _level(before, after, kernel, expansions)
            for (before, after), kernel, expansions in zip(
                pairwise(inputs), _KERNELS, size.expansions, strict=True
            )
        )
        rates = torch.linspace(0, _DROP_PATH, size.depth).tolist()
        self.transformers = nn.ModuleList(
            nn.Sequential(*(_Block(width, key, size.heads, mlp, rate) for rate in rates))
            for width, key, mlp in zip(size.levels[self.first :], size.keys, size.mlp, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        maps, found = self.stem(images), []
        for number, level in enumerate(self.levels):
            maps = level(maps)
            if number >= self.first:
                maps = self.transformers[number - self.first](maps)
            if number == _SHALLOW or number >= self.first:
                found.append(maps)
        return found


def _level(before: int, after: int, kernel: int, expansions: Sequence[int]) -> nn.Sequential:
    """Return blocks of which one halves the map: at stride 4 the second, else the first."""
    halving = 1 if len(expansions) > 2 else 0  # the first works at the stem's stride
    widths = (before, *([before] * halving), *([after] * (len(expansions) - halving)))
    return nn.Sequential(
        *(
            InvertedResidual(one, other, kernel, 2 if place == halving else 1, expansion)
            for place, ((one, other), expansion) in enumerate(
                zip(pairwise(widths), expansions, strict=True)
            )
        )
    )


class AxialAttention(nn.Module):
    r"""Attention among means of rows and among means of columns, which gates a convolution.

    .. math::
        y = \mathrm{hsigmoid}(W \, [v + r(q, k, v) + c(q, k, v)]) \odot D([q, k, v])

    r attends over the rows, each the mean of its positions, c over the columns; learned positions
    are added to their queries and keys. D filters each channel and mixes them.

    Args:
        width: channels of the map.
        key: channels of each head's keys; values have twice as many.
        heads: number of heads.

    Source:
        Wan et al., ICLR 2023, Sec. 3.2.
    """

    def __init__(self, width: int, key: int, heads: int) -> None:
        super().__init__()
        self.heads, keys, values = heads, key * heads, 2 * key * heads
        self.query, self.key = conv_bn(width, keys), conv_bn(width, keys)
        self.value = conv_bn(width, values)
        self.rows = _Axis(keys, values, heads)
        self.columns = _Axis(keys, values, heads)
        self.project = _closed(values, width)
        both = 2 * keys + values
        self.details = nn.Sequential(
            conv_bn(both, both, 3, groups=both), nn.ReLU6(), conv_bn(both, width)
        )

    def forward(self, maps: Tensor) -> Tensor:
        parts = self.query(maps), self.key(maps), self.value(maps)
        rows = self.rows(*(part.mean(3) for part in parts))[..., None]
        columns = self.columns(*(part.mean(2) for part in parts))[..., None, :]
        gate = F.hardsigmoid(self.project(parts[2] + rows + columns))
        result: Tensor = gate * self.details(torch.cat(parts, dim=1))
        return result


class _Axis(nn.Module):
    """Attention between the positions of one axis."""

    def __init__(self, keys: int, values: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_positions = nn.Parameter(torch.randn(1, keys, _POSITIONS))
        self.key_positions = nn.Parameter(torch.randn(1, keys, _POSITIONS))
        self.project = _closed(values, values)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        count = query.shape[2]
        query = query + F.interpolate(self.query_positions, size=count, mode="linear")
        key = key + F.interpolate(self.key_positions, size=count, mode="linear")
        query, key, value = (
            part.reshape(len(part), self.heads, -1, count).mT for part in (query, key, value)
        )
        attended = F.scaled_dot_product_attention(query, key, value).mT.flatten(1, 2)
        result: Tensor = self.project(attended[..., None])[..., 0]
        return result


def _closed(before: int, after: int) -> nn.Sequential:
    """Return ReLU6, a 1x1 convolution and a norm that starts at 0."""
    convolution, norm = conv_bn(before, after)
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.zeros_(norm.weight)
    return nn.Sequential(nn.ReLU6(), convolution, norm)


class _Block(nn.Module):
    """Axial attention and a feed-forward part, each added; norms are of batches."""

    def __init__(self, width: int, key: int, heads: int, mlp: int, rate: float) -> None:
        super().__init__()
        self.attention = AxialAttention(width, key, heads)
        self.mlp = feed_forward(width, mlp * width)
        self.drop_path = DropPath(rate)

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps + self.drop_path(self.attention(maps))
        added: Tensor = maps + self.drop_path(self.mlp(maps))
        return added


class GatedDetails(Head):
    """The shallow map, gated by each deeper one in turn, then scaled by channel.

    Args:
        features: maps of the trunk, the shallowest first.
        widths: channels after each gate.
    """

    def __init__(self, features: Sequence[FeatureInfo], widths: Sequence[int]) -> None:
        super().__init__()
        self.out_channels, self.out_stride = widths[-1], features[0].stride
        inputs = (features[0].channels, *widths[:-1])
        self.details = nn.ModuleList(
            conv_bn(before, after) for before, after in zip(inputs, widths, strict=True)
        )
        self.gates = nn.ModuleList(
            conv_bn(deep.channels, after) for deep, after in zip(features[1:], widths, strict=True)
        )
        self.fuse = conv_bn(widths[-1], widths[-1], groups=widths[-1], relu=True)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps, *deep = features
        for detail, gate, other in zip(self.details, self.gates, deep, strict=True):
            maps = detail(maps)
            maps = maps * enlarged(F.hardsigmoid(gate(other)), maps)
        fused: Tensor = self.fuse(maps)
        return fused


def seaformer(
    classes: int,
    variant: Literal["tiny", "small", "base", "large"] = "tiny",
    dropout: float = 0.1,
) -> Segmenter:
    """Return SeaFormer; see :class:`AxialPyramid` and :class:`GatedDetails`."""
    trunk = AxialPyramid(variant)
    head = GatedDetails(trunk.features, _SIZES[variant].fused)
    return Segmenter(trunk, head, classes, dropout)
