"""Both ways to compare cosines, by P×P maps and by C×C products, give the same."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses.maths import gram
from segdistill.losses.maths.gram import Compare, row_lengths, squared_differences
from segdistill.losses.maths.unit import unit

both = pytest.mark.parametrize("compare", [squared_differences, row_lengths])


def columns(channels: int, positions: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return unit(torch.randn(channels, positions, generator=generator, dtype=torch.float64), dim=0)


@both
def test_products_equal_maps(compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    # 150 channels are three blocks of the products.
    u, v = columns(150, 200, 1), columns(6, 200, 2)
    by_products, slope = compare(u, v)
    by_product_slope = slope(u, v, torch.empty_like(u))
    monkeypatch.setattr(gram, "_few", lambda u, v: True)
    by_maps, slope = compare(u, v)
    assert_close(by_products, by_maps)
    assert_close(by_product_slope, slope(u, v, torch.empty_like(u)))


@both
@pytest.mark.parametrize("positions", [3, 40])
def test_equal_vectors_have_no_difference_and_no_slope(compare: Compare, positions: int) -> None:
    u = columns(8, positions, 1).float()
    value, slope = compare(u, u.clone())
    assert_close(value.float(), torch.tensor(0.0), atol=1e-5, rtol=0)
    assert_close(slope(u, u, torch.empty_like(u)), torch.zeros_like(u), atol=1e-4, rtol=0)


@both
def test_the_gradient_can_be_asked_for_twice(compare: Compare) -> None:
    student, teacher = columns(5, 30, 1)[None].requires_grad_(), columns(6, 30, 2)[None]
    weights, shares = torch.ones(1, 30).double(), torch.ones(1).double()
    loss = gram.compare_cosines(compare, student, teacher, weights=weights, shares=shares)
    (once,) = torch.autograd.grad(loss, student, retain_graph=True)
    (twice,) = torch.autograd.grad(2 * loss, student)
    assert_close(twice, 2 * once)
