"""Feature matching: the equation, and its parts of length and angle."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import FeatureMSE, feature_mse, layer_angular, magnitude


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_equals_the_equation() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    pairs = zip(student.flatten().tolist(), teacher.flatten().tolist(), strict=True)
    expected = sum((x - y) ** 2 for x, y in pairs) / student.numel()
    assert_close(feature_mse(student, teacher), torch.tensor(expected, dtype=torch.float64))
    assert_close(FeatureMSE()(student, teacher), feature_mse(student, teacher))


def test_a_value_worked_out_by_hand() -> None:
    student = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 1, 2)
    teacher = torch.tensor([1.0, 0.0, 0.0, 4.0]).reshape(1, 2, 1, 2)
    assert_close(feature_mse(student, teacher), torch.tensor((4 + 9) / 4))


def test_is_the_length_difference_and_the_weighted_angle() -> None:
    # |x - y|² = (|x| - |y|)² + |x||y| · 2 (1 - cos): the angular paper's Eq. 3.
    student, teacher = maps(1, 3, 4, 5, seed=1), maps(1, 3, 4, 5, seed=2)
    angle = layer_angular(student, teacher) * student.norm() * teacher.norm() / student.numel()
    assert_close(feature_mse(student, teacher), magnitude(student, teacher) + angle)


def test_gradient_is_right() -> None:
    student, teacher = maps(1, 2, 2, 3, seed=1).requires_grad_(), maps(1, 2, 2, 3, seed=2)
    assert torch.autograd.gradcheck(lambda s: feature_mse(s, teacher), student)


def test_refuses_maps_of_another_width() -> None:
    with pytest.raises(ValueError, match="feature_mse: expected equal channel counts"):
        feature_mse(maps(1, 2, 3, 3), maps(1, 4, 3, 3))
