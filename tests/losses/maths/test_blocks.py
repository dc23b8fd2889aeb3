"""A sum over blocks is the sum, and so is its gradient."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses.maths import blocks
from segdistill.losses.maths.blocks import sum_over_blocks


def maps(seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 4, 5, 6, generator=generator, dtype=dtype)


def function(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    return ((x * y).sin() * mask).sum()


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("values", [1, 150, 2**18])
def test_equals_the_function_of_the_whole(
    dim: int, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_VALUES", values)
    x, y, mask = maps(1).requires_grad_(), maps(2), maps(3) > 0
    expected = function(x, y, mask)
    total = sum_over_blocks(function, x, y, mask, dim=dim)
    assert_close(total, expected)
    gradients = [torch.autograd.grad(3 * value, x)[0] for value in (total, expected)]
    assert_close(*gradients)
    with torch.no_grad():
        assert_close(sum_over_blocks(function, x, y, mask, dim=dim), expected.detach())


def test_half_precision_gets_a_gradient_made_in_float32() -> None:
    # A mean's gradient of 1e-9 is 0 in float16 until it is scaled, by 2^16 as a scaler does.
    x = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float16).requires_grad_()
    total = sum_over_blocks(lambda z, _: z.square().sum() * 1e-9, x, x, dim=0)
    (total * 2.0**16).backward()
    assert total.dtype == torch.float32
    assert x.grad is not None
    assert x.grad.dtype == torch.float16
    assert_close(x.grad.float(), torch.full((1, 1, 2, 2), 2.0**16 * 1e-9), rtol=1e-2, atol=0)


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("values", [1, 150, 2**18])
def test_positions_that_do_not_count_are_zero_to_the_function(
    dim: int, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_VALUES", values)
    x, y = maps(1).requires_grad_(), maps(2)
    valid = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(4)) > 0.3
    mask = valid[:, None].expand_as(x)

    def shifted(x: Tensor, y: Tensor) -> Tensor:
        return ((x + 1) * (y + 2)).square().sum()

    expected = shifted(x * mask, y * mask)
    total = sum_over_blocks(shifted, x, y, dim=dim, valid=valid)
    assert_close(total, expected)
    gradients = [torch.autograd.grad(value, x)[0] for value in (total, expected)]
    assert_close(*gradients)
    with torch.no_grad():
        assert_close(sum_over_blocks(shifted, x, y, dim=dim, valid=valid), expected.detach())


def test_a_wider_teacher_widens_the_comparison_and_not_the_students_gradient() -> None:
    x, y = maps(1, torch.float32).requires_grad_(), maps(2)
    total = sum_over_blocks(lambda a, b: (a * b).sum(), x, y, dim=2)
    total.backward()
    assert total.dtype == torch.float64
    assert_close(x.grad, y.float())


def test_the_other_tensors_get_no_gradient() -> None:
    x, y = maps(1).requires_grad_(), maps(2).requires_grad_()
    sum_over_blocks(lambda a, b: (a * b).sum(), x, y, dim=1).backward()
    assert x.grad is not None
    assert y.grad is None


def test_strides_are_those_of_the_map() -> None:
    x = maps(1).to(memory_format=torch.channels_last).requires_grad_()
    sum_over_blocks(lambda z, _: z.square().sum(), x, x, dim=2).backward()
    assert x.grad is not None
    assert x.grad.is_contiguous(memory_format=torch.channels_last)
    assert_close(x.grad, 2 * x.detach())
