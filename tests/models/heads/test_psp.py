"""PSPNet's head: pooling as matrix products, against torch's own."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.models.heads.head import FeatureInfo
from segdistill.models.heads.psp import PyramidPooling, adaptive_average


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(6, 6), (7, 13), (12, 18), (45, 60), (3, 4)])
def test_equals_torchs_adaptive_pooling(bins: int, size: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    assert_close(adaptive_average(maps, bins), F.adaptive_avg_pool2d(maps, bins))


def test_a_value_worked_out_by_hand() -> None:
    # 5 columns in 2 cells: 0 to 2 and 2 to 4, so the middle one counts in both.
    maps = torch.tensor([1.0, 2.0, 6.0, 3.0, 9.0]).reshape(1, 1, 1, 5)
    expected = torch.tensor([[3.0, 6.0], [3.0, 6.0]]).reshape(1, 1, 2, 2)
    assert_close(adaptive_average(maps, 2), expected)


def test_gradient_is_right() -> None:
    maps = torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: adaptive_average(x, 3), maps)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_neither_overflows_nor_drifts(dtype: torch.dtype) -> None:
    maps = torch.full((1, 1, 200, 300), 1000.0, dtype=dtype)
    assert_close(adaptive_average(maps, 6), torch.full((1, 1, 6, 6), 1000.0, dtype=dtype))


def test_pooled_branches_share_the_width_by_default() -> None:
    head = PyramidPooling([FeatureInfo(16, 8)], width=5, bins=(2, 4))
    assert [each[0].out_channels for each in head.branches] == [8, 8]
    assert head.smallest_map == 4
    assert not head.pools_image
