"""The critic of holistic distillation: does this segmentation map belong to this image?"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class Critic(nn.Module):
    """Score a segmentation map together with its image.

    It has four 4×4 convolutions of stride 2 with spectral norm and leaky ReLU, self-attention after
    the third and the fourth, and a fifth convolution without these; the score is the mean of its
    output. Padding depends on the size (a map of n positions becomes one of ⌈n/2⌉), so that any map
    of at least 1×1 can be scored; public critics need 64×64.

    Args:
        classes: channels of the map.
        width: channels after the first convolution; they double up to the fourth.
        bound_last: give the last convolution spectral norm too. This bounds the slope of the score,
            which the gradient penalty pulls towards 1.

    Shape:
        maps ``(N, classes, H, W)``; images ``(N, 3, H', W')``, uint8 or floats from 0 to 1, resized
        to the map; result ``(N,)``.

    Returns:
        The scores, unitless, unbounded.

    Raises:
        ValueError: maps and images differ in number, or do not have the expected channels.

    Source:
        Liu et al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, Sec.
        3.1: map and image are "concatenated", "five convolutions", and "two self-attention modules
        are inserted between the final three layers". Kernels, widths, slope and which layers have
        spectral norm (all but the last) are those of irfanICMLL/structure_knowledge_distillation
        (``networks/sagan_models.py``), which scores the logits after a batch norm and without the
        image; self-attention follows Zhang et al., "SAGAN", arXiv:1805.08318.
    """

    def __init__(self, classes: int, width: int = 64, bound_last: bool = False) -> None:
        super().__init__()
        self.classes = classes
        widths = [classes + 3, width, 2 * width, 4 * width, 8 * width]
        self.layers = nn.Sequential(
            _Halve(widths[0], widths[1]),
            _Halve(widths[1], widths[2]),
            _Halve(widths[2], widths[3]),
            SelfAttention(widths[3]),
            _Halve(widths[3], widths[4]),
            SelfAttention(widths[4]),
        )
        last = nn.Conv2d(widths[4], 1, kernel_size=4, stride=2)
        self.last = spectral_norm(last) if bound_last else last

    def forward(self, maps: Tensor, images: Tensor) -> Tensor:
        if maps.ndim != 4 or maps.shape[1] != self.classes or images.shape[:2] != (len(maps), 3):
            raise ValueError(
                f"Critic: expected maps (N, {self.classes}, H, W) and images (N, 3, H, W), "
                f"got {tuple(maps.shape)} and {tuple(images.shape)}"
            )
        if not images.is_floating_point():
            images = images.to(maps.dtype) / 255
        size = maps.shape[2:]
        images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        maps = self.layers(torch.cat((maps, images.to(maps.dtype)), dim=1))
        scores: Tensor = self.last(_pad(maps)).mean(dim=(1, 2, 3))
        return scores


class SelfAttention(nn.Module):
    """Add to each position a mean of all others, weighted by how well they match it.

    The sum starts at 0: the layer is the identity until it has learnt.

    Args:
        channels: channels of the map; queries and keys have an eighth as many.

    Shape:
        maps ``(N, C, H, W)``; result the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 8, 1)
        self.query = nn.Conv2d(channels, inner, kernel_size=1)
        self.key = nn.Conv2d(channels, inner, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)
        self.share = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        query, key, value = (
            layer(maps).flatten(start_dim=2) for layer in (self.query, self.key, self.value)
        )
        # Written out, not fused: the gradient penalty differentiates its gradient.
        weights = (query.mT @ key).softmax(dim=2)
        attended: Tensor = value @ weights.mT
        return maps + self.share * attended.reshape(maps.shape)


class _Halve(nn.Module):
    """A 4×4 convolution of stride 2 with spectral norm, and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = spectral_norm(nn.Conv2d(inputs, outputs, kernel_size=4, stride=2))

    def forward(self, maps: Tensor) -> Tensor:
        halved: Tensor = self.convolution(_pad(maps))
        return F.leaky_relu(halved, negative_slope=0.1)


def _pad(maps: Tensor) -> Tensor:
    """Pad so that a 4×4 convolution of stride 2 gives half the size, rounded up."""
    height, width = maps.shape[-2:]
    return F.pad(maps, (1, 1 + width % 2, 1, 1 + height % 2))
