"""ESPNet: a light encoder of thin dilated convolutions, and a decoder to the image's size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segdistill.models.esp import EPSILON, EspEncoder, EspModule, norm_act
from segdistill.models.inputs import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    check_images,
    register_normalisation,
)
from segdistill.types import SegOutput


class EspNet(nn.Module):
    """ESPNet: the encoder and a light decoder, logits at the image's own size.

    Where a level's height or width is odd, the decoder's larger map is cut to it.

    Args:
        classes: number of classes.
        repeats: ESP modules of the second and the third level; the paper's are 2 and 8.

    Attributes:
        taps: module path of ``backbone`` (encoder), ``head`` and ``logits``.
        stride: of the logits.
        smallest_image: the least height and width of an image.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int, repeats: tuple[int, int] = (2, 8)) -> None:
        super().__init__()
        self.taps = {"backbone": "encoder", "head": "head", "logits": "classifier"}
        self.stride, self.smallest_image, self.classes = 1, 1, classes
        register_normalisation(self, IMAGENET_MEAN, IMAGENET_STD)
        first, second, third = EspEncoder.channels
        self.encoder = EspEncoder(repeats)
        self.score3 = nn.Sequential(
            nn.Conv2d(third, classes, 1, bias=False),
            nn.BatchNorm2d(classes, eps=EPSILON),
            _double(classes),
        )
        self.score2 = nn.Conv2d(second, classes, 1, bias=False)
        self.merge2 = nn.Sequential(
            norm_act(2 * classes),
            EspModule(2 * classes, classes, residual=False),
            _double(classes),
            norm_act(classes),
        )
        self.head = nn.Sequential(
            nn.Conv2d(first + classes, classes, 3, padding=1, bias=False), norm_act(classes)
        )
        self.classifier = _double(classes)

    def forward(self, images: Tensor) -> SegOutput:
        if not torch.compiler.is_compiling():
            check_images("EspNet", images, self.smallest_image)
        first, second, third = self.encoder((images - self.mean) / self.std)
        merged = torch.cat([self.score2(second), _cut(self.score3(third), second)], dim=1)
        maps = self.head(torch.cat([_cut(self.merge2(merged), first), first], dim=1))
        return SegOutput(_cut(self.classifier(maps), images))


def _double(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


def _cut(maps: Tensor, like: Tensor) -> Tensor:
    return maps[:, :, : like.shape[2], : like.shape[3]]
