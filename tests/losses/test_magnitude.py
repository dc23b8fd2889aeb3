"""Magnitude distillation: the equation, and what it does not see."""

import math

import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Magnitude, magnitude


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_equals_the_papers_equation() -> None:
    student, teacher = maps(3, 2, 4, 5, seed=1), 2 * maps(3, 2, 4, 5, seed=2)

    def norm(one: Tensor) -> float:
        return math.sqrt(sum(x * x for x in one.flatten().tolist()))

    squares = [(norm(y) - norm(x)) ** 2 for x, y in zip(student, teacher, strict=True)]
    expected = torch.tensor(sum(squares) / 3 / (2 * 4 * 5), dtype=torch.float64)
    assert_close(magnitude(student, teacher), expected)
    assert_close(Magnitude()(student, teacher), expected)


def test_a_value_worked_out_by_hand() -> None:
    # Lengths 5 and 1, two values: (5 - 1)² / 2.
    student = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
    teacher = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)
    assert_close(magnitude(student, teacher), torch.tensor(8.0))


def test_does_not_see_directions() -> None:
    student = maps(2, 3, 4, 5)
    assert_close(magnitude(student, student.flip(1)), torch.tensor(0.0, dtype=torch.float64))


def test_gradient_is_right_and_zero_for_a_map_of_zeros() -> None:
    student, teacher = maps(2, 2, 2, 3, seed=1).requires_grad_(), maps(2, 2, 2, 3, seed=2)
    assert torch.autograd.gradcheck(lambda s: magnitude(s, teacher), student)
    nothing = torch.zeros(2, 2, 2, 3, requires_grad=True)
    magnitude(nothing, teacher.float()).backward()
    assert_close(nothing.grad, torch.zeros(2, 2, 2, 3))
