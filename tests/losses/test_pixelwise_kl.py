"""Pixel-wise distillation: the equation in plain loops, its mask, its refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import PixelwiseKL, pixelwise_kl
from segdistill.types import Batch


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def reference(
    student: Tensor, teacher: Tensor, temperature: float, valid: Tensor | None = None
) -> float:
    def distribution(logits: list[float]) -> list[float]:
        weights = [math.exp(x / temperature) for x in logits]
        return [weight / sum(weights) for weight in weights]

    images, _, height, width = student.shape
    divergences = []
    for n in range(images):
        for i in range(height):
            for j in range(width):
                if valid is not None and not valid[n, i, j]:
                    continue
                p = distribution(teacher[n, :, i, j].tolist())
                q = distribution(student[n, :, i, j].tolist())
                divergences.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    return temperature**2 * sum(divergences) / len(divergences)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_equals_the_equation(temperature: float) -> None:
    student = maps(2, 3, 4, 5, seed=1, dtype=torch.float64)
    teacher = maps(2, 3, 4, 5, seed=2, dtype=torch.float64)
    expected = torch.tensor(reference(student, teacher, temperature), dtype=torch.float64)
    assert_close(pixelwise_kl(student, teacher, temperature=temperature), expected)
    assert_close(PixelwiseKL(temperature)(student, teacher), expected)


def test_counts_valid_positions_only() -> None:
    student = maps(2, 3, 4, 5, seed=1, dtype=torch.float64)
    teacher = maps(2, 3, 4, 5, seed=2, dtype=torch.float64)
    valid = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(3)) > 0.4
    expected = torch.tensor(reference(student, teacher, 2.0, valid), dtype=torch.float64)
    assert_close(pixelwise_kl(student, teacher, temperature=2.0, valid=valid), expected)


def test_a_value_worked_out_by_hand() -> None:
    # Teacher 3:1, student 1:1: L = 3/4 log(3/2) + 1/4 log(1/2).
    teacher = torch.tensor([math.log(3.0), 0.0]).reshape(1, 2, 1, 1)
    loss = pixelwise_kl(torch.zeros(1, 2, 1, 1), teacher)
    assert_close(loss, torch.tensor(0.75 * math.log(1.5) + 0.25 * math.log(0.5)))


def test_does_not_change_when_a_constant_is_added_to_a_pixel() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    shift = maps(2, 1, 4, 5, seed=3)
    assert_close(pixelwise_kl(student + shift, teacher), pixelwise_kl(student, teacher))


def test_does_not_depend_on_the_resolution() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)

    def larger(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, dim=2).repeat_interleave(3, dim=3)

    assert_close(pixelwise_kl(larger(student), larger(teacher)), pixelwise_kl(student, teacher))


def test_the_module_reduces_the_batchs_mask_to_the_nearest_pixel() -> None:
    student, teacher = maps(1, 3, 2, 2, seed=1), maps(1, 3, 2, 2, seed=2)
    valid = torch.zeros(1, 4, 6, dtype=torch.bool)
    valid[0, 2, 3] = True  # the nearest pixel of position (1, 1)
    valid[0, 0, 1] = True  # the nearest pixel of no position
    batch = Batch(torch.zeros(1, 3, 4, 6), torch.zeros(1, 4, 6), valid)
    expected = torch.tensor([[[False, False], [False, True]]])
    assert_close(
        PixelwiseKL()(student, teacher, batch), pixelwise_kl(student, teacher, valid=expected)
    )


def test_no_valid_position_gives_zero_with_a_graph() -> None:
    student = maps(1, 3, 2, 2).requires_grad_()
    loss = pixelwise_kl(student, maps(1, 3, 2, 2, seed=1), valid=torch.zeros(1, 2, 2).bool())
    loss.backward()
    assert loss == 0
    assert_close(student.grad, torch.zeros(1, 3, 2, 2))


def test_gradient_is_right() -> None:
    student = maps(1, 3, 2, 3, seed=1, dtype=torch.float64).requires_grad_()
    teacher = maps(1, 3, 2, 3, seed=2, dtype=torch.float64)
    valid = torch.tensor([[[True, False, True], [True, True, False]]])
    assert torch.autograd.gradcheck(
        lambda s: pixelwise_kl(s, teacher, temperature=2.0, valid=valid), student
    )


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_refuses_a_temperature_that_is_not_above_zero(temperature: float) -> None:
    with pytest.raises(ValueError, match="PixelwiseKL: expected temperature > 0 and finite"):
        PixelwiseKL(temperature)
    with pytest.raises(ValueError, match="pixelwise_kl: expected temperature > 0 and finite"):
        pixelwise_kl(maps(1, 2, 2, 2), maps(1, 2, 2, 2), temperature=temperature)


def test_refuses_a_mask_of_another_size_or_dtype() -> None:
    student, teacher = maps(1, 3, 2, 2), maps(1, 3, 2, 2, seed=1)
    with pytest.raises(ValueError, match=r"valid of shape \(1, 2, 2\), got \(1, 4, 4\).*resize"):
        pixelwise_kl(student, teacher, valid=torch.ones(1, 4, 4, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"valid of dtype torch\.bool, got torch\.float32"):
        pixelwise_kl(student, teacher, valid=torch.ones(1, 2, 2))


def test_a_class_that_the_teacher_excludes_has_the_limit_of_the_equation() -> None:
    teacher = torch.tensor([0.0, -math.inf, -math.inf]).reshape(1, 3, 1, 1)
    student = torch.tensor([0.0, 0.0, -math.inf]).reshape(1, 3, 1, 1).requires_grad_()
    loss = pixelwise_kl(student, teacher)
    loss.backward()
    assert_close(loss, torch.tensor(math.log(2.0)))
    assert student.grad is not None
    assert_close(student.grad.flatten(), torch.tensor([-0.5, 0.5, 0.0]))
