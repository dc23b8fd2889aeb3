"""Activation maps: the mean absolute value of the channels, by hand."""

import pytest
import torch
from torch.testing import assert_close

from segdistill.scoring.activations import activation_map


def test_is_the_mean_absolute_value_of_the_channels() -> None:
    features = torch.tensor([[[1.0, -2.0, 0.0]], [[-3.0, 2.0, 0.0]]])
    assert_close(activation_map(features), torch.tensor([[2.0, 2.0, 0.0]]))


def test_half_precision_does_not_overflow() -> None:
    features = torch.full((64, 2, 3), 60000.0, dtype=torch.float16)
    assert_close(activation_map(features), torch.full((2, 3), 59999.9), rtol=1e-3, atol=0)


def test_refuses_a_batch() -> None:
    with pytest.raises(ValueError, match=r"activation_map: expected features \(C, h, w\)"):
        activation_map(torch.zeros(1, 2, 3, 4))
