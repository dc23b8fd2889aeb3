"""The convolution block that all heads are made of."""

from __future__ import annotations

from torch import nn


def conv_bn_relu(
    in_channels: int,
    out_channels: int,
    *,
    kernel: int = 1,
    dilation: int = 1,
    separable: bool = False,
) -> nn.Sequential:
    """Return convolution, batch norm and ReLU that keep height and width.

    Args:
        in_channels: width of the input map.
        out_channels: width of the result.
        kernel: side of the kernel, odd.
        dilation: distance of the kernel's taps.
        separable: filter each channel alone first, then mix them with a 1x1 convolution.
    """
    padding = dilation * (kernel // 2)
    layers: list[nn.Module] = []
    if separable:
        layers += [
            nn.Conv2d(
                in_channels,
                in_channels,
                kernel,
                padding=padding,
                dilation=dilation,
                groups=in_channels,
                bias=False,
            ),
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
        ]
        kernel, dilation, padding = 1, 1, 0
    return nn.Sequential(
        *layers,
        nn.Conv2d(
            in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
