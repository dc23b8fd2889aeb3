"""The parts of ESPNet: convolutions cut into a 1x1 reduction and a pyramid of thin dilated ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-3
"""Epsilon of every batch norm, from the authors' code (sacmehta/ESPNet)."""

_DILATIONS = (1, 2, 4, 8, 16)


class EspModule(nn.Module):
    """An efficient spatial pyramid: reduce, look with five dilations, merge, norm, PReLU.

    The branches are added up from the second on before they are concatenated (hierarchical
    feature fusion), which removes the gridding of large dilations.

    Args:
        in_channels: width of the map.
        out_channels: width of the result; each branch has a fifth, the first also the remainder.
        stride: 1, or 2 to halve height and width with a 3x3 reduction.
        residual: add the input, which needs equal widths and stride 1.

    Source:
        Mehta, Rastegari, Caspi, Shapiro and Hajishirzi, "ESPNet: Efficient Spatial Pyramid
        of Dilated Convolutions for Semantic Segmentation", ECCV 2018, Sec. 3.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, residual: bool = True
    ) -> None:
        super().__init__()
        thin = out_channels // len(_DILATIONS)
        first = out_channels - thin * (len(_DILATIONS) - 1)
        self.residual = residual
        kernel = 3 if stride == 2 else 1
        self.reduce = nn.Conv2d(
            in_channels, thin, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.branches = nn.ModuleList(
            nn.Conv2d(
                thin, first if rate == 1 else thin, 3, padding=rate, dilation=rate, bias=False
            )
            for rate in _DILATIONS
        )
        self.norm = norm_act(out_channels)

    def forward(self, maps: Tensor) -> Tensor:
        reduced = self.reduce(maps)
        views = [branch(reduced) for branch in self.branches]
        for index in range(2, len(views)):
            views[index] = views[index] + views[index - 1]
        merged = torch.cat(views, dim=1)
        result: Tensor = self.norm(maps + merged if self.residual else merged)
        return result


class EspEncoder(nn.Module):
    """The encoder: three levels, each halving the map, with the shrunk image as a further input.

    Args:
        repeats: ESP modules of the second and the third level.

    Shape:
        images ``(N, 3, H, W)``; results of 19, 131 and 256 channels at stride 2, 4 and 8.
    """

    channels = (16 + 3, 128 + 3, 256)

    def __init__(self, repeats: tuple[int, int]) -> None:
        super().__init__()
        self.shrink = nn.AvgPool2d(3, stride=2, padding=1)
        self.level1 = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), norm_act(16)
        )
        self.norm1 = norm_act(self.channels[0])
        self.down2 = EspModule(self.channels[0], 64, stride=2, residual=False)
        self.level2 = nn.Sequential(*(EspModule(64, 64) for _ in range(repeats[0])))
        self.norm2 = norm_act(self.channels[1])
        self.down3 = EspModule(self.channels[1], 128, stride=2, residual=False)
        self.level3 = nn.Sequential(*(EspModule(128, 128) for _ in range(repeats[1])))
        self.norm3 = norm_act(self.channels[2])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        half = self.shrink(images)
        first = self.norm1(torch.cat([self.level1(images), half], dim=1))
        down = self.down2(first)
        second = self.norm2(torch.cat([self.level2(down), down, self.shrink(half)], dim=1))
        down = self.down3(second)
        third = self.norm3(torch.cat([down, self.level3(down)], dim=1))
        return first, second, third


def norm_act(channels: int) -> nn.Sequential:
    """Return batch norm and PReLU, as they follow every convolution."""
    return nn.Sequential(nn.BatchNorm2d(channels, eps=EPSILON), nn.PReLU(channels))
