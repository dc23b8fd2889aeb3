"""The program that is exported: a network with the inputs and outputs of its contract."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.delivery.contract import Images, Output
from segdistill.types import SegOutput


class Program(nn.Module):
    """Maps float or uint8 images to logits or to the mask.

    Args:
        network: a network that returns ``SegOutput`` for images in [0, 1] and normalises them.
        images: ``float`` in [0, 1], or ``uint8``.
        output: ``logits``, or the ``mask`` of class ids, uint8.
        full_size: resize logits to the image, as is always done for a mask.

    Shape:
        images ``(N, 3, H, W)``; logits ``(N, K, H, W)``, or ``(N, K, h, w)`` at the network's
        own stride; mask ``(N, H, W)``.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        images: Images = "float",
        output: Output = "logits",
        full_size: bool = True,
    ) -> None:
        super().__init__()
        self.network = network
        self.images = images
        self.output = output
        self.full_size = full_size or output == "mask"

    def forward(self, images: Tensor) -> Tensor:
        if self.images == "uint8":
            images = images.float() / 255
        output: SegOutput = self.network(images)
        logits = output.logits
        if self.full_size:
            logits = F.interpolate(logits, images.shape[2:], mode="bilinear", align_corners=False)
        if self.output == "mask":
            return logits.argmax(dim=1).to(torch.uint8)
        return logits


def example(
    size: tuple[int, int], *, images: Images = "float", batch: int = 1, seed: int = 0
) -> Tensor:
    """Return noise as input of a program, ``(batch, 3, *size)``."""
    noise = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))
    return (noise * 255).to(torch.uint8) if images == "uint8" else noise
