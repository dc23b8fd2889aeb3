"""Texture: bands and counts in plain loops, values by hand, gradient, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Texture, statistical_texture, structural_texture


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def bands(channel: Tensor, levels: int) -> list[list[float]]:
    """The bands of one channel, by loops over 2×2 cells."""
    found = []
    for _ in range(levels):
        height, width = channel.shape
        above = torch.zeros(-(-height // 2), -(-width // 2), dtype=torch.float64)
        for i in range(above.shape[0]):
            for j in range(above.shape[1]):
                above[i, j] = channel[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean()
        found.append(
            [
                float(channel[i, j] - above[i // 2, j // 2])
                for i in range(height)
                for j in range(width)
            ]
        )
        channel = above
    return found


@pytest.mark.parametrize("size", [(4, 8), (3, 5)], ids=str)
def test_structure_equals_the_equation(size: tuple[int, int]) -> None:
    student, teacher = maps(2, 3, *size, seed=1), maps(2, 3, *size, seed=2)
    total = 0.0
    for n in range(2):
        for c in range(3):
            ours, theirs = (bands(z[n, c], 2) for z in (student, teacher))
            for a, b in zip(ours, theirs, strict=True):
                total += sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) / (3 * len(a))
    expected = torch.tensor(total / 2, dtype=torch.float64)
    assert_close(structural_texture(student, teacher, levels=2), expected, rtol=1e-12, atol=0)


def test_a_constant_is_no_texture_and_directions_change_nothing() -> None:
    student = maps(1, 2, 4, 4)
    assert_close(structural_texture(student + 3, student), torch.tensor(0.0).double())
    # An orthonormal split of a band, here by Haar's three details, leaves its square as it is.
    x = student - maps(1, 2, 4, 4, seed=1)
    cells = x.unflatten(3, (2, 2)).unflatten(2, (2, 2))
    a, b, c, d = (cells[:, :, :, i, :, j] for i in (0, 1) for j in (0, 1))
    details = [(a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]
    split = sum(float(detail.square().sum()) for detail in details) / x.numel()
    loss = structural_texture(student, maps(1, 2, 4, 4, seed=1), levels=1)
    assert math.isclose(float(loss), split)


def counts(image: Tensor, bins: int) -> tuple[list[float], list[float]]:
    pixels = image.flatten(1).T.tolist()
    mean = [sum(values) / len(pixels) for values in zip(*pixels, strict=True)]
    norm = math.sqrt(sum(v * v for v in mean))
    cosines = [
        sum(a * b for a, b in zip(p, mean, strict=True)) / norm / math.sqrt(sum(v * v for v in p))
        for p in pixels
    ]
    low, high = min(cosines), max(cosines)
    levels = [low + (high - low) * i / (bins - 1) for i in range(bins)]
    width = (high - low) / (bins - 1)
    shares = [
        sum(max(0.0, 1 - abs(s - level) / width) for s in cosines) / len(cosines)
        for level in levels
    ]
    return shares, levels


def test_statistics_equal_the_equation() -> None:
    student, teacher = maps(2, 3, 3, 4, seed=1), maps(2, 5, 3, 4, seed=2)
    total = 0.0
    for x, y in zip(student, teacher, strict=True):
        for a, b in zip(counts(x, 4), counts(y, 4), strict=True):
            total += sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) / 4
    expected = torch.tensor(total / 2, dtype=torch.float64)
    assert_close(statistical_texture(student, teacher, bins=4), expected)
    assert math.isclose(sum(counts(student[0], 4)[0]), 1)


def test_gradients_are_right_with_padding() -> None:
    student, teacher = maps(2, 3, 3, 4, seed=1).requires_grad_(), maps(2, 3, 3, 4, seed=2)
    valid = torch.ones(2, 3, 4, dtype=torch.bool)
    valid[1, :, 2:] = False
    for function in (structural_texture, statistical_texture):
        assert torch.autograd.gradcheck(lambda s, f=function: f(s, teacher, valid=valid), student)


def test_refuses_too_few_bins_or_levels() -> None:
    with pytest.raises(ValueError, match="expected at least 2 bins, got 1"):
        statistical_texture(maps(1, 2, 3, 3), maps(1, 2, 3, 3), bins=1)
    with pytest.raises(ValueError, match="expected at least 2 bins, got 1"):
        Texture(bins=1)
    with pytest.raises(ValueError, match="structural_texture: expected levels > 0"):
        structural_texture(maps(1, 2, 3, 3), maps(1, 2, 3, 3), levels=0)
