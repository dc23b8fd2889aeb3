"""The backbone of SegFormer: attention over keys of a coarser grid, positions from convolutions."""

from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.backbone import Trunk
from segdistill.models.heads.head import FeatureInfo
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD

WIDTHS: dict[str, tuple[int, int, int, int]] = {
    "mit_b0": (32, 64, 160, 256),
    "mit_b1": (64, 128, 320, 512),
}
"""Channels of each stage by name: the two small encoders, whose stages have two blocks each."""

_BLOCKS = 2
_REDUCTIONS = (8, 4, 2, 1)
_HEADS = (1, 2, 5, 8)
_EXPANSION = 4
_DROP_PATH = 0.1
_EPSILON = 1e-6
_SMALLEST = 4 * (_REDUCTIONS[0] - 1) + 1


class MixTransformer(Trunk):
    """A Mix Transformer encoder (MiT), from scratch.

    Args:
        name: a key of ``WIDTHS``.

    Raises:
        ValueError: in the forward pass: an image is smaller than 29 pixels on a side, the
            least at which the first stage's keys have a position.

    Source:
        Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with
        Transformers", NeurIPS 2021, Sec. 3.1; the epsilon of the norms and the
        rate of stochastic depth from the authors' NVlabs/SegFormer.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        widths = WIDTHS[name]
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.features = tuple(map(FeatureInfo, widths, (4, 8, 16, 32)))
        rates = torch.linspace(0, _DROP_PATH, _BLOCKS * len(widths)).tolist()
        self.stages = nn.ModuleList(
            _Stage(
                before,
                after,
                first=index == 0,
                heads=_HEADS[index],
                reduction=_REDUCTIONS[index],
                rates=rates[_BLOCKS * index : _BLOCKS * (index + 1)],
            )
            for index, (before, after) in enumerate(zip((3, *widths), widths, strict=False))
        )
        self.apply(_initialise)

    def forward(self, images: Tensor) -> list[Tensor]:
        if not torch.compiler.is_compiling() and min(images.shape[2:]) < _SMALLEST:
            raise ValueError(
                f"MixTransformer: expected images of at least {_SMALLEST} pixels per side, got "
                f"{tuple(images.shape[2:])}; use a larger crop or another backbone"
            )
        maps: list[Tensor] = []
        for stage in self.stages:
            maps.append(stage(maps[-1] if maps else images))
        return maps


class _Stage(nn.Module):
    """Overlapping patches, then blocks on their tokens."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        first: bool,
        heads: int,
        reduction: int,
        rates: list[float],
    ) -> None:
        super().__init__()
        kernel, stride = (7, 4) if first else (3, 2)
        self.embed = nn.Conv2d(in_channels, width, kernel, stride, padding=kernel // 2)
        self.embed_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(_Block(width, heads, reduction, rate) for rate in rates)
        self.norm = nn.LayerNorm(width, eps=_EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.embed(maps)
        height, width = maps.shape[2:]
        tokens = self.embed_norm(maps.flatten(2).mT)
        for block in self.blocks:
            tokens = block(tokens, height, width)
        return _as_maps(self.norm(tokens), height, width)


class _Block(nn.Module):
    """Attention and a feed-forward part with a 3x3 depthwise convolution, each added."""

    def __init__(self, width: int, heads: int, reduction: int, rate: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.attention = _Attention(width, heads, reduction)
        self.mlp_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.expand = nn.Linear(width, _EXPANSION * width)
        self.depthwise = nn.Conv2d(
            _EXPANSION * width, _EXPANSION * width, 3, padding=1, groups=_EXPANSION * width
        )
        self.contract = nn.Linear(_EXPANSION * width, width)
        self.drop_path = DropPath(rate)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        attended = self.attention(self.attention_norm(tokens), height, width)
        tokens = tokens + self.drop_path(attended)
        hidden = self.depthwise(_as_maps(self.expand(self.mlp_norm(tokens)), height, width))
        mixed: Tensor = tokens + self.drop_path(self.contract(F.gelu(hidden.flatten(2).mT)))
        return mixed


class _Attention(nn.Module):
    """Attention of every position to the keys of a grid that is ``reduction`` times coarser."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.project = nn.Linear(width, width)
        self.reduce: nn.Conv2d | None = None
        if reduction > 1:
            self.reduce = nn.Conv2d(width, width, reduction, reduction)
            self.reduce_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        coarse = tokens
        if self.reduce is not None:
            coarse = self.reduce_norm(self.reduce(_as_maps(tokens, height, width)).flatten(2).mT)
        key, value = self.key_value(coarse).chunk(2, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(tokens), key, value)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.project(attended.transpose(1, 2).flatten(2))
        return result


def _as_maps(tokens: Tensor, height: int, width: int) -> Tensor:
    images, _, channels = tokens.shape
    return tokens.mT.reshape(images, channels, height, width)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
