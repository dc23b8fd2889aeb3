"""Residual blocks whose sum is not yet rectified, for networks whose branches exchange maps."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import Conv2dNormActivation


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    dilation: int = 1,
    relu: bool = False,
) -> nn.Sequential:
    """Return convolution and batch norm, padded so that only the stride shrinks the map.

    Args:
        in_channels: width of the input map.
        out_channels: width of the result.
        kernel: side of the kernel, odd.
        stride: of the convolution; a side of n becomes one of n / stride, rounded up.
        groups: groups of channels that are filtered apart.
        dilation: distance between neighbouring weights of the kernel, in positions.
        relu: add a ReLU.
    """
    block: nn.Sequential = Conv2dNormActivation(
        in_channels,
        out_channels,
        kernel,
        stride,
        groups=groups,
        dilation=dilation,
        activation_layer=nn.ReLU if relu else None,
    )
    return block


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, added and not rectified.

    Args:
        in_channels: width of the input map.
        width: width of the result.
        stride: of the first convolution and of the shortcut.

    Source:
        He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
        without the last ReLU.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(in_channels, width, 3, stride, relu=True), conv_bn(width, width, 3)
        )
        self.shortcut = _shortcut(in_channels, width, stride)

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.body(maps) + self.shortcut(maps)
        return result


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, twice as wide at the end, added and not rectified.

    Args:
        in_channels: width of the input map.
        width: width inside; the result has twice as many channels.
        stride: of the 3x3 convolution and of the shortcut.

    Source:
        He et al., CVPR 2016, without the last ReLU and with an expansion of 2, as DDRNet has.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(in_channels, width, relu=True),
            conv_bn(width, width, 3, stride, relu=True),
            conv_bn(width, 2 * width),
        )
        self.shortcut = _shortcut(in_channels, 2 * width, stride)

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.body(maps) + self.shortcut(maps)
        return result


def basic_stage(in_channels: int, width: int, blocks: int, stride: int = 1) -> nn.Sequential:
    """Return basic blocks with a ReLU between them and none after the last."""
    layers: list[nn.Module] = [BasicBlock(in_channels, width, stride)]
    for _ in range(blocks - 1):
        layers += [nn.ReLU(), BasicBlock(width, width)]
    return nn.Sequential(*layers)


def stem(width: int) -> nn.Sequential:
    """Return the two strided 3x3 convolutions that DDRNet and PIDNet begin with, stride 4."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def enlarged(maps: Tensor, like: Tensor) -> Tensor:
    """Return maps resized bilinearly to another's height and width."""
    return F.interpolate(maps, like.shape[2:], mode="bilinear", align_corners=False)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return conv_bn(in_channels, out_channels, 1, stride)
