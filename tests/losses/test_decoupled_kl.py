"""Decoupled distillation: the equation in plain loops, ignored labels, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import DecoupledKL, decoupled_kl, pixelwise_kl
from segdistill.types import Batch


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def softmax(logits: list[float]) -> list[float]:
    weights = [math.exp(x) for x in logits]
    return [weight / sum(weights) for weight in weights]


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def reference(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, alpha: float, beta: float
) -> float:
    values = []
    for n, i, j in (labels != 255).nonzero().tolist():
        k = int(labels[n, i, j])
        binary, others = [], []
        for maps in (teacher, student):
            logits = (maps[n, :, i, j] / temperature).tolist()
            probability = softmax(logits)[k]
            binary.append([probability, 1 - probability])
            others.append(softmax(logits[:k] + logits[k + 1 :]))
        values.append(alpha * kl(*binary) + beta * kl(*others))
    return temperature**2 * sum(values) / len(values)


@pytest.mark.parametrize(("temperature", "alpha", "beta"), [(4.0, 1.0, 8.0), (0.7, 2.0, 0.3)])
def test_equals_the_papers_equation(temperature: float, alpha: float, beta: float) -> None:
    student, teacher = maps(2, 4, 3, 5, seed=1), maps(2, 4, 3, 5, seed=2)
    labels = torch.randint(0, 4, (2, 3, 5), generator=torch.Generator().manual_seed(3))
    labels[0, 1, :3] = 255
    expected = reference(student, teacher, labels, temperature, alpha, beta)
    loss = decoupled_kl(student, teacher, labels, temperature=temperature, alpha=alpha, beta=beta)
    assert_close(loss, torch.tensor(expected, dtype=torch.float64))
    batch = Batch(torch.zeros(2, 3, 3, 5), labels, labels != 255)
    assert_close(DecoupledKL(temperature, alpha, beta)(student, teacher, batch), loss)


def test_a_value_worked_out_by_hand() -> None:
    # Label 0. Teacher (2, 1, 1)/4, student (1, 1, 1)/3: b is (1/2, 1/2) against (1/3, 2/3),
    # and the rest is (1/2, 1/2) in both.
    teacher = torch.tensor([math.log(2.0), 0.0, 0.0]).reshape(1, 3, 1, 1)
    labels = torch.zeros(1, 1, 1, dtype=torch.int64)
    loss = decoupled_kl(torch.zeros(1, 3, 1, 1), teacher, labels, temperature=1.0, beta=5.0)
    assert_close(loss, torch.tensor(0.5 * math.log(1.5) + 0.5 * math.log(0.75)))


def test_is_plain_distillation_when_the_rest_weighs_what_the_teacher_gives_it() -> None:
    # KL = KL(b) + (1 - p_k) KL(r): with one position beta can be 1 - p_k.
    student, teacher = maps(1, 4, 1, 1, seed=1), maps(1, 4, 1, 1, seed=2)
    labels = torch.full((1, 1, 1), 2)
    rest = 1 - teacher.softmax(dim=1)[0, 2, 0, 0].item()
    loss = decoupled_kl(student, teacher, labels, temperature=1.0, beta=rest)
    assert_close(loss, pixelwise_kl(student, teacher))


def test_two_classes_leave_no_rest() -> None:
    student, teacher = maps(2, 2, 3, 4, seed=1), maps(2, 2, 3, 4, seed=2)
    labels = torch.randint(0, 2, (2, 3, 4), generator=torch.Generator().manual_seed(3))
    loss = decoupled_kl(student, teacher, labels, temperature=1.0)
    assert_close(loss, pixelwise_kl(student, teacher))


def test_labels_of_another_size_are_taken_by_nearest() -> None:
    student, teacher = maps(1, 3, 2, 2, seed=1), maps(1, 3, 2, 2, seed=2)
    small = torch.tensor([[[0, 1], [2, 255]]])
    large = small.repeat_interleave(3, dim=1).repeat_interleave(2, dim=2)
    assert_close(decoupled_kl(student, teacher, large), decoupled_kl(student, teacher, small))


def test_no_label_gives_zero_with_a_graph() -> None:
    student = maps(1, 3, 2, 2).requires_grad_()
    loss = decoupled_kl(student, maps(1, 3, 2, 2, seed=1), torch.full((1, 2, 2), 255))
    loss.backward()
    assert loss == 0
    assert_close(student.grad, torch.zeros(1, 3, 2, 2, dtype=torch.float64))


def test_stays_exact_where_the_target_has_all_the_probability() -> None:
    # Public code gives log(0) here. The rest is e^-100 of either, so L = 0.
    student = torch.zeros(1, 3, 1, 1)
    student[0, 0] = 100.0
    labels = torch.zeros(1, 1, 1, dtype=torch.int64)
    loss = decoupled_kl(student, student.clone(), labels, temperature=1.0)
    assert_close(loss, torch.tensor(0.0))


def test_gradient_is_right() -> None:
    student = maps(2, 4, 2, 3, seed=1).requires_grad_()
    teacher = maps(2, 4, 2, 3, seed=2)
    labels = torch.randint(0, 4, (2, 2, 3), generator=torch.Generator().manual_seed(3))
    labels[0, 0, 0] = 255
    assert torch.autograd.gradcheck(lambda s: decoupled_kl(s, teacher, labels), student)


def test_refuses_labels_that_do_not_fit() -> None:
    student, teacher = maps(1, 3, 2, 2), maps(1, 3, 2, 2, seed=1)
    with pytest.raises(ValueError, match=r"expected labels below 3 or 255, got \[3, 7\]"):
        decoupled_kl(student, teacher, torch.tensor([[[0, 3], [7, 255]]]))
    with pytest.raises(ValueError, match=r"expected labels below 3 or 255, got \[-1\]"):
        decoupled_kl(student, teacher, torch.full((1, 2, 2), -1))
    with pytest.raises(ValueError, match=r"expected labels \(1, H, W\), got \(2, 2, 2\)"):
        decoupled_kl(student, teacher, torch.zeros(2, 2, 2, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"labels of dtype torch\.int64, got torch\.float32"):
        decoupled_kl(student, teacher, torch.zeros(1, 2, 2))


def test_refuses_one_class_and_hyperparameters_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"at least 2 classes, got .*; .* the pair \(0, z\)"):
        decoupled_kl(maps(1, 1, 2, 2), maps(1, 1, 2, 2), torch.zeros(1, 2, 2).long())
    with pytest.raises(ValueError, match="DecoupledKL: expected temperature > 0"):
        DecoupledKL(temperature=0)
    with pytest.raises(ValueError, match="DecoupledKL: expected beta > 0"):
        DecoupledKL(beta=-1.0)
