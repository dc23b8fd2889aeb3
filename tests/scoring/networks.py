"""Small networks and datasets that the tests of evaluation share."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.types import Classes, Sample, SegOutput

CLASSES = Classes(
    names=("road", "sky", "car"), colors=((128, 64, 128), (70, 130, 180), (0, 0, 142))
)


class Pixelwise(nn.Module):
    """Fixed linear classifier of each pixel, at stride 1: any view of it gives the same."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(8 * torch.randn(classes, 3, 1, 1, generator=generator))
        self.norm = nn.BatchNorm2d(classes)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> SegOutput:
        self.seen.append(tuple(images.shape))
        return SegOutput(self.norm(F.conv2d(images - 0.5, self.weight)))


class Strided(nn.Module):
    """A convolution of stride 4 that sees 7 x 7 pixels."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.convolution = nn.Conv2d(3, classes, 7, stride=4, padding=3)
        nn.init.normal_(self.convolution.weight, generator=generator)

    def forward(self, images: Tensor) -> SegOutput:
        return SegOutput(self.convolution(images - 0.5))


class Drawn:
    """Random images and masks of the given sizes (height, width)."""

    def __init__(self, sizes: Sequence[tuple[int, int]], classes: Classes = CLASSES) -> None:
        self.classes = classes
        self.samples = []
        for index, size in enumerate(sizes):
            random = np.random.default_rng(index)
            image = random.integers(256, size=(*size, 3), dtype=np.uint8)
            mask = random.integers(len(classes), size=size, dtype=np.uint8)
            mask[random.random(size) < 0.1] = 255
            self.samples.append(Sample(image, mask, f"image{index}"))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]
