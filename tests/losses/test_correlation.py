"""Correlation distillation: the equation in plain loops and what it does not see."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Correlation, correlation
from segdistill.losses.maths.blocks import blocks


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def pearson(x: list[float], y: list[float]) -> float:
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    across = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    spread_x = math.sqrt(sum((a - mean_x) ** 2 for a in x))
    spread_y = math.sqrt(sum((b - mean_y) ** 2 for b in y))
    return across / (spread_x * spread_y)


def reference(student: Tensor, teacher: Tensor, temperature: float) -> float:
    """Positions of all images as rows, classes as columns."""
    rows = []
    for maps in (student, teacher):
        logits = (maps / temperature).permute(0, 2, 3, 1).flatten(end_dim=2).tolist()
        exponents = [[math.exp(value) for value in row] for row in logits]
        rows.append([[value / sum(row) for value in row] for row in exponents])
    columns = [[list(column) for column in zip(*table, strict=True)] for table in rows]
    parts = []
    for ours, theirs in (rows, columns):
        values = [1 - pearson(x, y) for x, y in zip(ours, theirs, strict=True)]
        parts.append(sum(values) / len(values))
    return temperature**2 * sum(parts)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_equals_the_papers_equation(temperature: float) -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    expected = torch.tensor(reference(student, teacher, temperature), dtype=torch.float64)
    assert_close(correlation(student, teacher, temperature=temperature), expected)
    assert_close(Correlation(temperature)(student, teacher), expected)


def test_two_classes_agree_or_disagree() -> None:
    # With two classes each pixel correlates by +1 or -1; here one of two pixels agrees, and
    # over the pixels both classes go opposite ways: 1/2 · 2 + 2 = 3.
    student = torch.tensor([[1.0, 2.0], [0.0, 0.0]]).reshape(1, 2, 1, 2)
    teacher = torch.tensor([[1.0, -2.0], [0.0, 0.0]]).reshape(1, 2, 1, 2)
    assert_close(correlation(student, teacher), torch.tensor(3.0))


def test_distributions_without_spread_correlate_with_nothing() -> None:
    uniform, teacher = torch.zeros(1, 3, 4, 5), maps(1, 3, 4, 5, dtype=torch.float32)
    student = uniform.clone().requires_grad_()
    loss = correlation(student, teacher)
    loss.backward()
    assert_close(loss, torch.tensor(2.0))
    assert student.grad is not None
    assert student.grad.abs().max() < 1e4


def test_does_not_depend_on_how_positions_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher = maps(2, 3, 6, 5, seed=1).requires_grad_(), maps(2, 3, 6, 5, seed=2)
    whole = correlation(student, teacher)
    (gradient,) = torch.autograd.grad(whole, student)
    monkeypatch.setattr("segdistill.losses.maths.blocks._VALUES", 70)
    assert len(list(blocks_of(student))) == 3
    divided = correlation(student, teacher)
    assert_close(divided, whole)
    assert_close(torch.autograd.grad(divided, student)[0], gradient)


def blocks_of(student: Tensor) -> list[list[Tensor]]:
    return list(blocks(student, dim=2))


def test_a_class_that_hardly_varies_is_still_compared() -> None:
    # The rarest class has probabilities of about 1e-4 that differ by some per cent.
    student, teacher = (maps(1, 3, 20, 30, seed=s, dtype=torch.float32) / 40 for s in (1, 2))
    student[:, 2] -= 9
    teacher[:, 2] -= 9
    expected = correlation(student.double(), teacher.double())
    assert_close(correlation(student, teacher).double(), expected, rtol=1e-4, atol=1e-4)


def test_gradient_is_right() -> None:
    student, teacher = maps(2, 3, 2, 3, seed=1).requires_grad_(), maps(2, 3, 2, 3, seed=2)
    assert torch.autograd.gradcheck(lambda s: correlation(s, teacher, temperature=2.0), student)


def test_gradient_is_right_for_a_class_without_spread() -> None:
    def plain(student: Tensor, teacher: Tensor) -> Tensor:
        u, v = (x.softmax(1).movedim(1, 3).flatten(0, 2) for x in (student, teacher))

        def correlations(x: Tensor, y: Tensor) -> Tensor:
            x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
            lengths = [z.norm(dim=1).clamp_min(1e-4) for z in (x, y)]
            return (x * y).sum(1) / (lengths[0] * lengths[1])

        return (1 - correlations(u, v)).mean() + (1 - correlations(u.T, v.T)).mean()

    student, teacher = maps(1, 3, 4, 5, seed=1), maps(1, 3, 4, 5, seed=2)
    student[:, 2] -= 17
    student.requires_grad_()
    gradients = [torch.autograd.grad(f(student, teacher), student)[0] for f in (correlation, plain)]
    assert_close(gradients[0][:, 2], gradients[1][:, 2], rtol=1e-6, atol=0)


def test_refuses_a_temperature_of_zero() -> None:
    with pytest.raises(ValueError, match="Correlation: expected temperature > 0"):
        Correlation(0.0)
