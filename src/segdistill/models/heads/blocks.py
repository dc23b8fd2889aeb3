"""The convolution block that the heads are made of."""

from __future__ import annotations

from torch import nn
from torchvision.ops import Conv2dNormActivation


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
        dilation: distance between neighbouring weights of the kernel, in positions.
        separable: filter each channel by itself first, then mix them with a 1x1 convolution.
    """
    if not separable:
        block: nn.Sequential = Conv2dNormActivation(
            in_channels, out_channels, kernel, dilation=dilation
        )
        return block
    depthwise = Conv2dNormActivation(
        in_channels, in_channels, kernel, dilation=dilation, groups=in_channels
    )
    return nn.Sequential(*depthwise, *Conv2dNormActivation(in_channels, out_channels, 1))
