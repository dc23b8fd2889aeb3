"""What the tests of dice and lovasz share."""

import math

import torch
from torch import Tensor

LABELS = torch.tensor([[[0, 1, 255], [3, 3, 0]], [[1, 1, 3], [0, 255, 255]]])
"""Two images; class 2 occurs in none of them."""
WEIGHTS = torch.tensor([0.5, 2.0, 7.0, 1.0], dtype=torch.float64)


def logits(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(2, 4, 2, 3, generator=generator, dtype=torch.float64)


def positions(maps: Tensor, labels: Tensor) -> list[tuple[list[float], int]]:
    """Return the probabilities and the label of every labelled position."""
    found = []
    for n in range(len(labels)):
        for i in range(labels.shape[1]):
            for j in range(labels.shape[2]):
                if int(labels[n, i, j]) != 255:
                    values = [math.exp(value) for value in maps[n, :, i, j].tolist()]
                    found.append(([v / sum(values) for v in values], int(labels[n, i, j])))
    return found
