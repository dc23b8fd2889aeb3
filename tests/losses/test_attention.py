"""Attention transfer: the equation in plain loops, widths, scale."""

import math

import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Attention, attention


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def reference(student: Tensor, teacher: Tensor) -> float:
    def unit_attention(image: Tensor) -> list[float]:
        channels, height, width = image.shape
        values = [
            sum(float(image[c, i, j]) ** 2 for c in range(channels)) / channels
            for i in range(height)
            for j in range(width)
        ]
        length = math.sqrt(sum(value**2 for value in values))
        return [value / length for value in values]

    squares = []
    for x, y in zip(student, teacher, strict=True):
        pairs = zip(unit_attention(x), unit_attention(y), strict=True)
        squares += [(a - b) ** 2 for a, b in pairs]
    return sum(squares) / len(squares)


def test_equals_the_equation_for_maps_of_two_widths() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 7, 4, 5, seed=2)
    expected = torch.tensor(reference(student, teacher), dtype=torch.float64)
    assert_close(attention(student, teacher), expected)
    assert_close(Attention()(student, teacher), expected)


def test_a_value_worked_out_by_hand() -> None:
    # Attention (1, 0) and (0, 1): squares 1 and 1, mean 1.
    student = torch.tensor([2.0, 0.0]).reshape(1, 1, 1, 2)
    teacher = torch.tensor([0.0, 0.1]).reshape(1, 1, 1, 2)
    assert_close(attention(student, teacher), torch.tensor(1.0))


def test_does_not_change_with_the_scale_or_sign_of_a_map() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    expected = attention(student, teacher)
    assert_close(attention(-0.01 * student, 30 * teacher), expected)
    assert_close(attention(student.flip(1), teacher), expected)


def test_a_map_of_zeros_gets_no_gradient() -> None:
    student = torch.zeros(1, 3, 4, 5, requires_grad=True)
    attention(student, maps(1, 3, 4, 5).float()).backward()
    assert_close(student.grad, torch.zeros(1, 3, 4, 5))


def test_gradient_is_right() -> None:
    student, teacher = maps(2, 3, 2, 3, seed=1).requires_grad_(), maps(2, 4, 2, 3, seed=2)
    assert torch.autograd.gradcheck(lambda s: attention(s, teacher), student)
