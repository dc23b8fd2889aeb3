"""Local similarity: the equation in plain loops, borders, widths."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import LocalSimilarity, local_similarity


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def cosine(x: list[float], y: list[float]) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x)) / math.sqrt(sum(b * b for b in y))


def reference(student: Tensor, teacher: Tensor) -> float:
    """Each pixel and each of its up to eight neighbours."""
    images, _, height, width = student.shape
    squares = []
    for n in range(images):
        for i in range(height):
            for j in range(width):
                for k in range(max(i - 1, 0), min(i + 2, height)):
                    for m in range(max(j - 1, 0), min(j + 2, width)):
                        if (i, j) == (k, m):
                            continue
                        cosines = [
                            cosine(x[n, :, i, j].tolist(), x[n, :, k, m].tolist())
                            for x in (student, teacher)
                        ]
                        squares.append((cosines[0] - cosines[1]) ** 2)
    return sum(squares) / len(squares)


@pytest.mark.parametrize("size", [(4, 5), (1, 6), (3, 1), (2, 2)])
def test_equals_the_equation_with_real_neighbours_only(size: tuple[int, int]) -> None:
    student, teacher = maps(2, 3, *size, seed=1), maps(2, 5, *size, seed=2)
    expected = torch.tensor(reference(student, teacher), dtype=torch.float64)
    assert_close(local_similarity(student, teacher), expected)
    assert_close(LocalSimilarity()(student, teacher), expected)


def test_a_value_worked_out_by_hand() -> None:
    # Three positions in a row, two pairs: the student's cosines 0 and 1, the teacher's 1 and 1.
    student = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 5.0]]).reshape(1, 2, 1, 3)
    assert_close(local_similarity(student, torch.ones(1, 2, 1, 3)), torch.tensor(0.5))


def test_one_position_has_no_neighbours() -> None:
    student = maps(2, 3, 1, 1).requires_grad_()
    loss = local_similarity(student, maps(2, 3, 1, 1, seed=1))
    loss.backward()
    assert loss == 0
    assert_close(student.grad, torch.zeros_like(student))


def test_does_not_change_with_the_scale_of_a_position() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    scale = torch.rand(2, 1, 4, 5, generator=torch.Generator().manual_seed(3)) + 0.1
    assert_close(local_similarity(scale * student, teacher), local_similarity(student, teacher))


def test_does_not_see_positions_that_are_further_apart() -> None:
    # Turning the right half of both features changes no pair within a half.
    student = torch.zeros(1, 2, 1, 6, dtype=torch.float64)
    student[:, 0] = 1
    turned = student.clone()
    turned[..., 3:] = student[..., 3:].flip(1)
    assert_close(local_similarity(turned, student), torch.tensor(1 / 5, dtype=torch.float64))


def test_gradient_is_right() -> None:
    student, teacher = maps(2, 3, 3, 4, seed=1).requires_grad_(), maps(2, 4, 3, 4, seed=2)
    assert torch.autograd.gradcheck(lambda s: local_similarity(s, teacher), student)
