"""Unit vectors with a bounded gradient."""

import torch
from torch.testing import assert_close

from segdistill.losses.maths.unit import SHORTEST, length, unit


def test_vectors_have_length_one_and_zero_stays_zero() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-2e-3, 0.0]])
    expected = torch.tensor([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]])
    assert_close(unit(vectors, dim=1), expected)


def test_other_norms_divide_as_well() -> None:
    vectors = torch.tensor([[3.0, -1.0]])
    assert_close(unit(vectors, dim=1, order=1.0), torch.tensor([[0.75, -0.25]]))
    assert_close(length(vectors, dim=1, order=3.0), torch.tensor([[28.0 ** (1 / 3)]]))


def test_the_slope_is_at_most_one_over_the_shortest_length() -> None:
    for size in (0.0, 1e-30, 1e-8, SHORTEST, 1e-3):
        vector = torch.tensor([size, 0.0], requires_grad=True)
        (slope,) = torch.autograd.grad(unit(vector, dim=0) @ torch.tensor([0.6, 0.8]), vector)
        assert slope.isfinite().all()
        assert slope.norm() <= 1.001 / SHORTEST


def test_gradient_is_right_above_and_below_the_shortest_length() -> None:
    vectors = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda v: unit(v, dim=1), vectors.requires_grad_())
    assert torch.autograd.gradcheck(lambda v: unit(v, dim=1, shortest=9.0), vectors)


def test_the_length_of_millions_of_values_keeps_its_digits() -> None:
    values = torch.rand(1, 64, 128, 256, generator=torch.Generator().manual_seed(0))
    expected = values.double().square().sum().sqrt()
    assert_close(length(values, dim=(1, 2, 3)).double().squeeze(), expected, rtol=1e-6, atol=0)
    assert_close(length(values.flatten(1), dim=1).double().squeeze(), expected, rtol=1e-6, atol=0)
