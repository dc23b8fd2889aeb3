"""The affinity map: the equation, its own point, dead positions."""

import math

import pytest
import torch
from torch.testing import assert_close

from segdistill.scoring.affinities import affinity_map


def test_equals_the_equation() -> None:
    features = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0)).double()
    found = affinity_map(features, row=1, column=2)
    point = features[:, 1, 2].tolist()
    for row in range(2):
        for column in range(4):
            other = features[:, row, column].tolist()
            dot = sum(a * b for a, b in zip(point, other, strict=True))
            norms = math.hypot(*point) * math.hypot(*other)
            assert found[row, column].item() == pytest.approx(dot / norms)


def test_a_value_worked_out_by_hand() -> None:
    features = torch.tensor([[[1.0, 1.0, 0.0, -2.0]], [[0.0, 1.0, 3.0, 0.0]]])
    found = affinity_map(features, row=0, column=0)
    assert_close(found, torch.tensor([[1.0, math.sqrt(0.5), 0.0, -1.0]]))


def test_a_position_without_features_is_like_no_other() -> None:
    features = torch.ones(2, 1, 3)
    features[:, 0, 1] = 0
    assert affinity_map(features, row=0, column=0).tolist() == [
        [pytest.approx(1), 0, pytest.approx(1)]
    ]
    assert affinity_map(features, row=0, column=1).abs().max() == 0


def test_refuses_a_point_outside_and_maps_of_several_images() -> None:
    with pytest.raises(ValueError, match="expected a point inside 2 x 3, got 2, 0"):
        affinity_map(torch.zeros(4, 2, 3), row=2, column=0)
    with pytest.raises(ValueError, match=r"expected features \(C, h, w\)"):
        affinity_map(torch.zeros(1, 4, 2, 3), row=0, column=0)
