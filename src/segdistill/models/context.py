"""The context modules of DDRNet and PIDNet: averages over windows of growing size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segdistill.models.residual import enlarged

_WINDOWS = ((5, 2), (9, 4), (17, 8))
"""Side and stride of each window; the fourth is the whole image."""


class DeepAggregation(nn.Module):
    """Deep aggregation pyramid pooling (DAPPM): each average is mixed into the next wider one.

    Args:
        in_channels: width of the map.
        width: of each branch.
        out_channels: width of the result.

    Source:
        Pan, Hong, Sun and Jia, "Deep Dual-Resolution Networks for Real-Time and Accurate
        Semantic Segmentation of Traffic Scenes", IEEE T-ITS 2022.
    """

    def __init__(self, in_channels: int, width: int, out_channels: int) -> None:
        super().__init__()
        self.views = _Views(in_channels, width)
        self.mix = nn.ModuleList(_norm_conv(width, width, 3) for _ in range(len(_WINDOWS) + 1))
        self.compress = _norm_conv((len(_WINDOWS) + 2) * width, out_channels)
        self.shortcut = _norm_conv(in_channels, out_channels)

    def forward(self, maps: Tensor) -> Tensor:
        first, *wider = self.views(maps)
        mixed = [first]
        for mix, view in zip(self.mix, wider, strict=True):
            mixed.append(mix(view + mixed[-1]))
        result: Tensor = self.compress(torch.cat(mixed, dim=1)) + self.shortcut(maps)
        return result


class ParallelAggregation(nn.Module):
    """Parallel aggregation pyramid pooling (PAPPM): all averages mixed by one grouped convolution.

    Args:
        in_channels: width of the map.
        width: of each branch.
        out_channels: width of the result.

    Source:
        Xu, Xiong and Bhattacharyya, "PIDNet: A Real-time Semantic Segmentation Network
        Inspired by PID Controllers", CVPR 2023.
    """

    def __init__(self, in_channels: int, width: int, out_channels: int) -> None:
        super().__init__()
        branches = len(_WINDOWS) + 1
        self.views = _Views(in_channels, width)
        self.mix = _norm_conv(branches * width, branches * width, 3, groups=branches)
        self.compress = _norm_conv((branches + 1) * width, out_channels)
        self.shortcut = _norm_conv(in_channels, out_channels)

    def forward(self, maps: Tensor) -> Tensor:
        first, *wider = self.views(maps)
        mixed = self.mix(torch.cat([view + first for view in wider], dim=1))
        result: Tensor = self.compress(torch.cat([first, mixed], dim=1)) + self.shortcut(maps)
        return result


class _Views(nn.Module):
    """The map itself and its averages, thinned, all at the map's size."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.first = _norm_conv(in_channels, width)
        self.windows = nn.ModuleList(
            nn.Sequential(
                nn.AvgPool2d(side, stride, padding=side // 2), _norm_conv(in_channels, width)
            )
            for side, stride in _WINDOWS
        )
        self.image = _norm_conv(in_channels, width)

    def forward(self, maps: Tensor) -> list[Tensor]:
        averages = [window(maps) for window in self.windows]
        averages.append(self.image(maps.mean(dim=(2, 3), keepdim=True)))
        return [self.first(maps), *(enlarged(average, maps) for average in averages)]


def _norm_conv(
    in_channels: int, out_channels: int, kernel: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(
            in_channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=False
        ),
    )
