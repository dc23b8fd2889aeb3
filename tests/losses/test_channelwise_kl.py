"""Channel-wise distillation: the paper's equation, its invariances, its refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import ChannelwiseKL, channelwise_kl


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def reference(student: Tensor, teacher: Tensor, temperature: float) -> float:
    """The paper's equation, one float at a time, sharing no code with the package."""

    def distribution(channel: list[float]) -> list[float]:
        weights = [math.exp(x / temperature) for x in channel]
        return [weight / sum(weights) for weight in weights]

    images, channels = student.shape[:2]
    total = 0.0
    for n in range(images):
        for c in range(channels):
            p = distribution(teacher[n, c].flatten().tolist())
            q = distribution(student[n, c].flatten().tolist())
            total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / (images * channels)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_equals_the_papers_equation(temperature: float) -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    expected = torch.tensor(reference(student, teacher, temperature))
    assert_close(channelwise_kl(student, teacher, temperature=temperature), expected)
    assert_close(ChannelwiseKL(temperature)(student, teacher), expected)


def test_a_value_worked_out_by_hand() -> None:
    # Teacher looks 3:1, student 1:1, so L = 3/4 log(3/2) + 1/4 log(1/2).
    teacher = torch.tensor([math.log(3.0), 0.0]).reshape(1, 1, 1, 2)
    loss = channelwise_kl(torch.zeros(1, 1, 1, 2), teacher, temperature=1.0)
    assert_close(loss, torch.tensor(0.75 * math.log(1.5) + 0.25 * math.log(0.5)))


def test_is_zero_for_equal_maps_and_for_a_shifted_channel() -> None:
    student = maps(2, 3, 4, 5)
    shift = torch.tensor([5.0, -2.0, 0.5]).reshape(1, 3, 1, 1)
    assert_close(channelwise_kl(student, student), torch.tensor(0.0), atol=1e-6, rtol=0)
    assert_close(channelwise_kl(student + shift, student), torch.tensor(0.0), atol=1e-5, rtol=0)


def test_does_not_depend_on_the_resolution() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)

    def larger(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, dim=2).repeat_interleave(3, dim=3)

    expected = channelwise_kl(student, teacher)
    assert_close(channelwise_kl(larger(student), larger(teacher)), expected)


def test_stays_finite_for_very_peaked_maps() -> None:
    student, teacher = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    student[0, 0, 0, 0] = teacher[0, 0, 7, 7] = 1e4
    student.requires_grad_()
    loss = channelwise_kl(student, teacher, temperature=1.0)
    loss.backward()
    assert_close(loss, torch.tensor(1e4))
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_gradient_is_right() -> None:
    student = maps(1, 2, 2, 3, seed=1, dtype=torch.float64).requires_grad_()
    teacher = maps(1, 2, 2, 3, seed=2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: channelwise_kl(s, teacher), student)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_refuses_a_temperature_that_is_not_above_zero(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature > 0 and finite"):
        ChannelwiseKL(temperature)
