"""ESPNet-C: the encoder of ESPNet with a classifier, logits at stride 8."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segdistill.models.esp import EspEncoder
from segdistill.models.inputs import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    check_images,
    register_normalisation,
)
from segdistill.types import SegOutput


class EspNetC(nn.Module):
    """ESPNet-C, the encoder with a classifier: logits of stride 8.

    Args:
        classes: number of classes.
        repeats: ESP modules of the second and the third level; the paper's are 2 and 8.

    Attributes:
        taps: module path of ``backbone`` and ``head``, which are one map, and ``logits``.
        stride: of the logits.
        smallest_image: the least height and width of an image.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int, repeats: tuple[int, int] = (2, 8)) -> None:
        super().__init__()
        self.taps = {"backbone": "encoder", "head": "encoder", "logits": "classifier"}
        self.stride, self.smallest_image, self.classes = 8, 1, classes
        register_normalisation(self, IMAGENET_MEAN, IMAGENET_STD)
        self.encoder = EspEncoder(repeats)
        self.classifier = nn.Conv2d(EspEncoder.channels[2], classes, 1, bias=False)

    def forward(self, images: Tensor) -> SegOutput:
        if not torch.compiler.is_compiling():
            check_images("EspNetC", images, self.smallest_image)
        return SegOutput(self.classifier(self.encoder((images - self.mean) / self.std)[2]))
