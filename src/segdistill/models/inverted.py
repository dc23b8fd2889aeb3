"""Inverted residual blocks and feed-forward parts, for the trunks of transformers for phones."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from segdistill.models.residual import conv_bn


def conv_bn_relu6(
    in_channels: int, out_channels: int, kernel: int, stride: int, groups: int = 1
) -> nn.Sequential:
    """Return convolution, batch norm and ReLU6, padded so that only the stride shrinks the map."""
    block: nn.Sequential = Conv2dNormActivation(
        in_channels, out_channels, kernel, stride, groups=groups, activation_layer=nn.ReLU6
    )
    return block


def feed_forward(width: int, hidden: int) -> nn.Sequential:
    """Return the part of a block after its attention: widen, filter each channel, thin.

    Args:
        width: channels of the map and of the result.
        hidden: channels inside.
    """
    return nn.Sequential(
        conv_bn(width, hidden),
        nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
        nn.ReLU6(),
        conv_bn(hidden, width),
    )


class InvertedResidual(nn.Module):
    """Widen, filter each channel, thin; added to the input where the map keeps its shape.

    Args:
        in_channels: width of the input map.
        out_channels: width of the result.
        kernel: side of the filters.
        stride: of the filters.
        expansion: how many times wider the block is inside; 1 widens nothing.

    Source:
        Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        widen = [conv_bn_relu6(in_channels, hidden, 1, 1)] if expansion > 1 else []
        self.body = nn.Sequential(
            *widen,
            conv_bn_relu6(hidden, hidden, kernel, stride, hidden),
            conv_bn(hidden, out_channels),
        )
        self.added = stride == 1 and in_channels == out_channels

    def forward(self, maps: Tensor) -> Tensor:
        inner: Tensor = self.body(maps)
        return maps + inner if self.added else inner
