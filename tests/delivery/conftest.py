"""A small network that has learnt to tell red, green and blue, and images of patches of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.types import Classes, Sample, SegOutput

CLASSES = Classes(("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


class Patches:
    """Images of 8x8 patches of noisy colours, the same for the same index."""

    classes = CLASSES

    def __init__(self, count: int = 4, size: tuple[int, int] = (48, 64)) -> None:
        self.count, self.size = count, size

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        random = np.random.default_rng(index)
        height, width = self.size
        mask = random.integers(0, 3, (height // 8, width // 8)).repeat(8, 0).repeat(8, 1)
        image = 255 * np.eye(3)[mask] * 0.5 + random.uniform(0, 120, (height, width, 3))
        return Sample(image.astype(np.uint8), mask.astype(np.uint8), f"patches {index}")


class Strided(nn.Module):
    """Two convolutions and a batch norm, at half the image's size."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.classifier = nn.Conv2d(8, 3, 1)

    def forward(self, images: Tensor) -> SegOutput:
        return SegOutput(self.classifier(self.norm(self.first(images - 0.5)).relu()))


@pytest.fixture(scope="session")
def network() -> nn.Module:
    """Return the trained network, in evaluation mode."""
    torch.manual_seed(0)
    strided, data = Strided(), Patches()
    optimizer = torch.optim.Adam(strided.parameters(), 0.02)
    samples = [data[index] for index in range(len(data))]
    images = torch.stack([torch.from_numpy(each.image) for each in samples]).permute(0, 3, 1, 2)
    labels = torch.stack([torch.from_numpy(each.mask) for each in samples]).long()
    for _ in range(60):
        logits = F.interpolate(strided(images / 255).logits, labels.shape[1:], mode="bilinear")
        optimizer.zero_grad()
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
    return strided.eval()


@pytest.fixture(scope="session")
def patches() -> Patches:
    return Patches()
