"""Adaptive cross-entropy: the equation in plain floats, a teacher's mistakes, gradient."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import adaptive_cross_entropy


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def log_softmax(logits: list[float]) -> list[float]:
    total = math.log(sum(math.exp(x) for x in logits))
    return [x - total for x in logits]


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_equals_the_equation(temperature: float) -> None:
    student, teacher = maps(2, 4, 3, 5, seed=1), maps(2, 4, 3, 5, seed=2)
    labels = torch.randint(0, 4, (2, 3, 5), generator=torch.Generator().manual_seed(3))
    labels[0, 1] = 255
    values, right = [], 0
    for n, i, j in (labels != 255).nonzero().tolist():
        k = int(labels[n, i, j])
        x, y = ((m[n, :, i, j] / temperature).tolist() for m in (student, teacher))
        target = [float(c == k) for c in range(4)]
        if max(range(4), key=lambda c: y[c]) == k:
            target, right = [math.exp(v) for v in log_softmax(y)], right + 1
        values.append(-sum(a * b for a, b in zip(target, log_softmax(x), strict=True)))
    assert 0 < right < len(values)
    expected = torch.tensor(temperature**2 * sum(values) / len(values), dtype=torch.float64)
    loss = adaptive_cross_entropy(student, teacher, labels, temperature=temperature)
    assert_close(loss, expected)


def test_a_mistaken_teacher_is_cross_entropy_with_the_labels() -> None:
    student = maps(1, 3, 2, 2)
    labels = torch.zeros(1, 2, 2, dtype=torch.int64)
    teacher = torch.zeros_like(student)
    teacher[:, 1] = 5
    expected = torch.nn.functional.cross_entropy(student, labels)
    assert_close(adaptive_cross_entropy(student, teacher, labels), expected)


def test_gradient_is_right_and_nothing_labelled_is_0() -> None:
    student, teacher = maps(1, 3, 2, 3, seed=1).requires_grad_(), maps(1, 3, 2, 3, seed=2)
    labels = torch.tensor([[[0, 1, 2], [255, 1, 0]]])
    assert torch.autograd.gradcheck(lambda s: adaptive_cross_entropy(s, teacher, labels), student)
    none = adaptive_cross_entropy(student, teacher, torch.full_like(labels, 255))
    none.backward()
    assert none == 0
