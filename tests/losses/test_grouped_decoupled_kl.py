"""Grouped decoupled distillation: the equation in plain floats, extremes, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import GroupedDecoupledKL, grouped_decoupled_kl, pixelwise_kl


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def softmax(logits: list[float]) -> list[float]:
    weights = [math.exp(x) for x in logits]
    return [weight / sum(weights) for weight in weights]


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def at(student: list[float], teacher: list[float], top: int, t: float) -> float:
    order = sorted(range(len(teacher)), key=lambda k: -teacher[k])
    groups = order[:top], order[top:]
    value = 0.0
    sides: list[list[float]] = []
    for logits in (teacher, student):
        p = softmax([x / t for x in logits])
        sides.append([sum(p[k] for k in group) for group in groups])
    value += 0.5 * kl(*sides)
    for group, weight in zip(groups, (1.5, 2.5), strict=True):
        inside = [softmax([x[k] / t for k in group]) for x in (teacher, student)]
        value += weight * kl(*inside)
    return t**2 * value


@pytest.mark.parametrize(("top", "temperature"), [(1, 1.0), (3, 2.0), (4, 0.7)])
def test_equals_the_equation(top: int, temperature: float) -> None:
    student, teacher = maps(2, 5, 3, 4, seed=1), maps(2, 5, 3, 4, seed=2)
    valid = torch.ones(2, 3, 4, dtype=torch.bool)
    valid[0, :, 3] = False
    values = [
        at(student[n, :, i, j].tolist(), teacher[n, :, i, j].tolist(), top, temperature)
        for n, i, j in valid.nonzero().tolist()
    ]
    loss = grouped_decoupled_kl(
        student,
        teacher,
        top=top,
        temperature=temperature,
        between=0.5,
        inside=1.5,
        others=2.5,
        valid=valid,
    )
    assert_close(loss, torch.tensor(sum(values) / len(values), dtype=torch.float64))


def test_weights_of_the_chain_rule_give_the_whole_divergence() -> None:
    # KL = KL(b) + b_G KL(r_G) + b_rest KL(r_rest): at one pixel those are the weights.
    student, teacher = maps(1, 4, 1, 1, seed=1), maps(1, 4, 1, 1, seed=2)
    p = teacher.softmax(dim=1).flatten().sort(descending=True).values
    share = float(p[:2].sum())
    loss = grouped_decoupled_kl(student, teacher, top=2, between=1, inside=share, others=1 - share)
    assert_close(loss, pixelwise_kl(student, teacher))


def test_gradient_is_right_and_never_reaches_the_teacher() -> None:
    student = maps(2, 5, 2, 3, seed=1).requires_grad_()
    teacher = maps(2, 5, 2, 3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: grouped_decoupled_kl(s, teacher, top=2), student)
    grouped_decoupled_kl(student, teacher).backward()
    assert teacher.grad is None


def test_stays_finite_for_logits_far_apart() -> None:
    student = (1e4 * maps(1, 5, 2, 2, seed=1)).float().requires_grad_()
    loss = grouped_decoupled_kl(student, (1e4 * maps(1, 5, 2, 2, seed=2)).float())
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_refuses_too_few_classes_and_wrong_settings() -> None:
    with pytest.raises(ValueError, match=r"more classes than top = 3, got 3; lower top"):
        grouped_decoupled_kl(maps(1, 3, 2, 2), maps(1, 3, 2, 2))
    with pytest.raises(ValueError, match="GroupedDecoupledKL: expected others > 0"):
        GroupedDecoupledKL(others=0.0)
