"""Comparisons in float32 or better, whatever the networks ran in."""

import torch
from torch import Tensor

from segdistill.losses.maths.precision import full_precision, without_autocast


def test_half_precision_is_lifted_and_float64_lifts_the_others() -> None:
    half, single, double = (
        torch.zeros(1, dtype=t) for t in (torch.bfloat16, torch.float32, torch.float64)
    )
    assert [x.dtype for x in full_precision(half, half)] == [torch.float32] * 2
    assert [x.dtype for x in full_precision(half, single)] == [torch.float32] * 2
    assert [x.dtype for x in full_precision(half, double)] == [torch.float64] * 2


def test_inference_tensors_can_be_kept_for_a_gradient_afterwards() -> None:
    with torch.inference_mode():
        made = torch.ones(3)
    weight = torch.ones(3, requires_grad=True)
    (weight * full_precision(made)[0]).sum().backward()
    assert weight.grad is not None


def test_products_inside_do_not_drop_to_half_precision() -> None:
    @without_autocast
    def product(*, left: Tensor, right: Tensor) -> Tensor:
        return left @ right

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
        assert product(left=torch.ones(2, 2), right=torch.ones(2, 2)).dtype == torch.float32
