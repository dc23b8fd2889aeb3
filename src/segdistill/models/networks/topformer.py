"""TopFormer: a transformer on the pooled maps of a MobileNet, mixed back into them; stride 8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """The widths of a variant."""

    levels: tuple[int, int, int, int]  # of the maps at stride 4, 8, 16 and 32
    deepest: int  # blocks at stride 32
    heads: int
    width: int  # of the mixed maps
    mixing: bool  # whether the head mixes channels


_SIZES = {
    "tiny": _Size((16, 32, 64, 96), 2, 4, 128, False),
    "small": _Size((24, 48, 96, 128), 3, 6, 192, True),
    "base": _Size((32, 64, 128, 160), 3, 8, 256, True),
}
"""Zhang et al., CVPR 2022, and the configs of hustvl/TopFormer."""

_KERNELS = (3, 5, 3, 5)
_EXPANSIONS = ((4, 3), (3, 3), (3, 3), (6, 6, 6))
"""Of each block of a level; the third of the deepest level has a kernel of 3."""

_STEM = 16
_DEPTH = 4
_KEY = 16
_VALUE = 2 * _KEY
_MLP = 2
_DROP_PATH = 0.1
_POOLED = 64
"""Stride at which the transformer works."""


class TokenPyramid(Trunk):
    """A MobileNetV2-like pyramid, whose pooled maps a transformer reads and then modulates.

    The maps of every level are pooled to stride 64 and put side by side; after four blocks of
    attention they are cut apart again, and each of stride 8, 16 and 32 is modulated by its part:
    local * sigmoid(part) + part, each after a 1x1 convolution of its own.

    Pooling takes windows of 64 pixels, those at the border may be smaller. Where 64 divides the
    image, that is the adaptive pooling of the public code.

    Args:
        variant: a key of ``_SIZES``.

    Source:
        Zhang et al., "TopFormer: Token Pyramid Transformer for Mobile Semantic Segmentation",
        CVPR 2022, Sec. 3; kernels, expansions, the missing scale of the attention and the rate of
        stochastic depth from hustvl/TopFormer.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        size = _SIZES[variant]
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.features = tuple(FeatureInfo(size.width, stride) for stride in (8, 16, 32))
        self.levels_channels = size.levels
        self.stem = nn.Sequential(
            conv_bn_relu6(3, _STEM, 3, 2), InvertedResidual(_STEM, _STEM, 3, 1, 1)
        )
        inputs = (_STEM, *size.levels)
        self.levels = nn.ModuleList(
            nn.Sequential(*_blocks(level, before, after, size.deepest))
            for level, (before, after) in enumerate(pairwise(inputs))
        )
        width = sum(size.levels)
        rates = torch.linspace(0, _DROP_PATH, _DEPTH).tolist()
        self.transformer = nn.Sequential(*(_Block(width, size.heads, rate) for rate in rates))
        self.mixers = nn.ModuleList(_Mixer(level, size.width) for level in size.levels[1:])

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.levels[0](self.stem(images))]
        for level in list(self.levels)[1:]:
            maps.append(level(maps[-1]))
        windows = [_POOLED // 4 >> level for level in range(len(maps))]
        pooled = [
            F.avg_pool2d(each, window, ceil_mode=True, count_include_pad=False)
            for each, window in zip(maps, windows, strict=True)
        ]
        tokens = self.transformer(torch.cat(pooled, dim=1))
        parts = tokens.split(self.levels_channels, dim=1)
        return [
            mixer(local, part)
            for mixer, local, part in zip(self.mixers, maps[1:], parts[1:], strict=True)
        ]


def _blocks(level: int, before: int, after: int, deepest: int) -> Iterator[nn.Module]:
    count = deepest if level == 3 else 2
    for index, expansion in enumerate(_EXPANSIONS[level][:count]):
        kernel = 3 if index == 2 else _KERNELS[level]
        first = index == 0
        yield InvertedResidual(
            before if first else after, after, kernel, 2 if first else 1, expansion
        )


class _Block(nn.Module):
    """Attention between all positions and a feed-forward part, each added; norms are of batches."""

    def __init__(self, width: int, heads: int, rate: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = conv_bn(width, heads * _KEY)
        self.key = conv_bn(width, heads * _KEY)
        self.value = conv_bn(width, heads * _VALUE)
        project, norm = conv_bn(heads * _VALUE, width)
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.zeros_(norm.weight)  # a block changes nothing at the start
        self.project = nn.Sequential(nn.ReLU6(), project, norm)
        self.mlp = feed_forward(width, _MLP * width)
        self.drop_path = DropPath(rate)

    def forward(self, maps: Tensor) -> Tensor:
        query, key, value = (
            part(maps).flatten(2).unflatten(1, (self.heads, -1)).mT
            for part in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        joined = attended.mT.reshape(len(maps), -1, *maps.shape[2:])
        maps = maps + self.drop_path(self.project(joined))
        added: Tensor = maps + self.drop_path(self.mlp(maps))
        return added


class _Mixer(nn.Module):
    """A local map modulated by what the transformer made of it."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.local = conv_bn(channels, width)
        self.gate = conv_bn(channels, width)
        self.shift = conv_bn(channels, width)

    def forward(self, local: Tensor, part: Tensor) -> Tensor:
        mine = self.local(local)
        gate = enlarged(F.hardsigmoid(self.gate(part)), mine)
        mixed: Tensor = mine * gate + enlarged(self.shift(part), mine)
        return mixed


class SumOfLevels(Head):
    """All maps enlarged to stride 8 and added, then a 1x1 convolution.

    Args:
        features: maps of one width, the shallowest first.
        mixing: whether the convolution mixes channels, or scales each by itself.
    """

    def __init__(self, features: Sequence[FeatureInfo], mixing: bool) -> None:
        super().__init__()
        self.out_channels, self.out_stride = features[0].channels, features[0].stride
        width = self.out_channels
        self.fuse = conv_bn(width, width, groups=1 if mixing else width, relu=True)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        shallow, *deep = features
        for maps in deep:
            shallow = shallow + enlarged(maps, shallow)
        fused: Tensor = self.fuse(shallow)
        return fused


def topformer(
    classes: int, variant: Literal["tiny", "small", "base"] = "tiny", dropout: float = 0.1
) -> Segmenter:
    """Return TopFormer; see :class:`TokenPyramid` and :class:`SumOfLevels`."""
    trunk = TokenPyramid(variant)
    head = SumOfLevels(trunk.features, _SIZES[variant].mixing)
    return Segmenter(trunk, head, classes, dropout)
