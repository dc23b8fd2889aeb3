"""SegNeXt: attention from strips of convolutions, and a factorising decoder; stride 8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.models.backbone import Trunk
from segdistill.models.heads.head import FeatureInfo, Head
from segdistill.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from segdistill.models.residual import enlarged
from segdistill.models.segmenter import Segmenter


class _Size(NamedTuple):
    """The widths and depths of a variant."""

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]


_SIZES = {
    "tiny": _Size((32, 64, 160, 256), (3, 3, 5, 2)),
    "small": _Size((64, 128, 320, 512), (2, 2, 4, 2)),
}
"""Guo et al., NeurIPS 2022, Table 2."""

_EXPANSIONS = (8, 8, 4, 4)
_STRIPS = (7, 11, 21)
_LAYER_SCALE = 0.01
_DROP_PATH = 0.1
_WIDTH = 256
_PARTS = 16
_STEPS = (6, 7)
"""Updates of the factors in training and in evaluation."""

_LEAST = 1e-6
"""Added to the divisors of the updates."""


class MultiScaleConvolutions(Trunk):
    """The multi-scale convolutional attention network (MSCAN), with maps of stride 4 to 32.

    Args:
        variant: a key of ``_SIZES``.

    Source:
        Guo et al., "SegNeXt: Rethinking Convolutional Attention Design for Semantic
        Segmentation", NeurIPS 2022, Sec. 3.1; biases, the start of the layer scale and the layer
        norm after each stage from open-mmlab/mmsegmentation (mscan.py).
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        widths, depths = _SIZES[variant]
        self.mean, self.std = IMAGENET_MEAN, IMAGENET_STD
        self.features = tuple(map(FeatureInfo, widths, (4, 8, 16, 32)))
        rates = iter(torch.linspace(0, _DROP_PATH, sum(depths)).tolist())
        half = widths[0] // 2
        self.stem = nn.Sequential(*_halved(3, half), nn.GELU())
        self.stages = nn.ModuleList(
            nn.Sequential(
                *_halved(before, width),
                *(_Block(width, expansion, next(rates)) for _ in range(depth)),
            )
            for before, width, expansion, depth in zip(
                (half, *widths), widths, _EXPANSIONS, depths, strict=False
            )
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.stem(images)
        normed = []
        for stage, norm in zip(self.stages, self.norms, strict=True):
            maps = norm(stage(maps).movedim(1, -1)).movedim(-1, 1)
            normed.append(maps)
        return normed


def _halved(before: int, after: int) -> Iterator[nn.Module]:
    yield nn.Conv2d(before, after, 3, 2, padding=1)
    yield nn.BatchNorm2d(after)


class _Block(nn.Module):
    """Attention by convolutions and a feed-forward part, each scaled by channel and added."""

    def __init__(self, width: int, expansion: int, rate: float) -> None:
        super().__init__()
        hidden = expansion * width
        self.attention = nn.Sequential(nn.BatchNorm2d(width), StripAttention(width))
        self.mlp = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Conv2d(width, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(),
            nn.Conv2d(hidden, width, 1),
        )
        self.attention_scale = nn.Parameter(torch.full((width, 1, 1), _LAYER_SCALE))
        self.mlp_scale = nn.Parameter(torch.full((width, 1, 1), _LAYER_SCALE))
        self.drop_path = DropPath(rate)

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps + self.drop_path(self.attention_scale * self.attention(maps))
        added: Tensor = maps + self.drop_path(self.mlp_scale * self.mlp(maps))
        return added


class StripAttention(nn.Module):
    r"""A map times what its neighbourhoods of several sizes say of it, beside a shortcut.

    .. math:: y = x + W_2 \, (A \odot u), \quad u = \mathrm{GELU}(W_1 x), \quad
        A = W_3 \, (d + \sum_k s_k(d)), \quad d = c_5(u)

    with :math:`c_5` a depthwise 5x5 convolution and :math:`s_k` one of 1xk, then one of kx1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(width, width, 1), nn.GELU())
        self.near = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.strips = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, (1, side), padding=(0, side // 2), groups=width),
                nn.Conv2d(width, width, (side, 1), padding=(side // 2, 0), groups=width),
            )
            for side in _STRIPS
        )
        self.mix = nn.Conv2d(width, width, 1)
        self.leave = nn.Conv2d(width, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        gated = self.enter(maps)
        near = self.near(gated)
        seen = near
        for strip in self.strips:
            seen = seen + strip(near)
        attended: Tensor = maps + self.leave(self.mix(seen) * gated)
        return attended


class Hamburger(Head):
    """The maps of stride 8, 16 and 32 side by side, beside their best product of two factors.

    Args:
        features: maps of stride 4 to 32; the first is not read.

    Source:
        Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021, Sec. 3 and
        Appendix B.1; widths, group norms and numbers of updates from open-mmlab/mmsegmentation
        (ham_head.py), which draws other bases for every batch, in evaluation too. Ours are drawn
        once, with the initial weights, so that a network gives the same result twice.
    """

    out_channels, out_stride = _WIDTH, 8

    def __init__(self, features: Sequence[FeatureInfo]) -> None:
        super().__init__()
        read = sum(feature.channels for feature in features[1:])
        self.squeeze = _normed(read, _WIDTH)
        self.enter = nn.Conv2d(_WIDTH, _WIDTH, 1)
        self.leave = nn.Sequential(
            nn.Conv2d(_WIDTH, _WIDTH, 1, bias=False), nn.GroupNorm(32, _WIDTH)
        )
        self.align = _normed(_WIDTH, _WIDTH)
        self.register_buffer("bases", F.normalize(torch.rand(_WIDTH, _PARTS), dim=0))
        self.bases: Tensor

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        shallow, *deep = features[1:]
        maps = torch.cat([shallow, *(enlarged(each, shallow) for each in deep)], dim=1)
        maps = self.squeeze(maps)
        values = F.relu(self.enter(maps)).flatten(2)
        steps = _STEPS[0] if self.training else _STEPS[1]
        product = factorised(values, self.bases, steps)
        inner = self.leave(product.reshape(maps.shape))
        aligned: Tensor = self.align(F.relu(maps + inner))
        return aligned


def _normed(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 1, bias=False), nn.GroupNorm(32, after), nn.ReLU()
    )


def factorised(values: Tensor, bases: Tensor, steps: int) -> Tensor:
    r"""Return a non-negative matrix's product of two thin factors after some updates.

    With :math:`X \approx D C^T`, :math:`C` starts as :math:`\mathrm{softmax}(X^T D)`, then

    .. math:: C \leftarrow C \odot \frac{X^T D}{C D^T D}, \qquad
        D \leftarrow D \odot \frac{X C}{D C^T C},

    and :math:`C` once more at the end.

    Args:
        values: :math:`X`, not negative.
        bases: :math:`D` at the start, not negative.
        steps: number of updates of both.

    Shape:
        values ``(N, C, P)`` with P positions; bases ``(C, R)``; result as values.

    Source:
        Lee and Seung, "Algorithms for Non-negative Matrix Factorization", NIPS 2000, Theorem 1.
    """
    bases = bases.expand(len(values), -1, -1)
    shares = (values.mT @ bases).softmax(dim=-1)
    for step in range(steps + 1):
        shares = shares * (values.mT @ bases) / (shares @ (bases.mT @ bases) + _LEAST)
        if step < steps:
            bases = bases * (values @ shares) / (bases @ (shares.mT @ shares) + _LEAST)
    return bases @ shares.mT


def segnext(
    classes: int, variant: Literal["tiny", "small"] = "tiny", dropout: float = 0.1
) -> Segmenter:
    """Return SegNeXt; see :class:`MultiScaleConvolutions` and :class:`Hamburger`."""
    trunk = MultiScaleConvolutions(variant)
    return Segmenter(trunk, Hamburger(trunk.features), classes, dropout)
