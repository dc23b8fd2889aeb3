"""The contract of a head: what a segmenter needs to know of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class FeatureInfo:
    """One map of a backbone.

    Attributes:
        channels: its width.
        stride: image pixels per position of the map.
    """

    channels: int
    stride: int


class Head(nn.Module, ABC):
    """A module from a backbone's maps to the last map before the classifier.

    Attributes:
        out_channels: width of that map.
        out_stride: its stride.
        smallest_map: the least height and width of the backbone's last map that it takes.
        pools_image: whether it normalises a single value per image, so that a training batch
            needs at least two images.
    """

    out_channels: int
    out_stride: int
    smallest_map: int = 1
    pools_image: bool = False

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return the map ``(N, out_channels, h, w)`` from maps, shallowest first."""
