"""Feature matching in three parts: their sum, their meaning, their gradient."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import FeatureMSETerms, feature_mse, feature_mse_terms


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_parts_are_those_of_the_equation() -> None:
    student, teacher = maps(1, 3, 4, 5, seed=1), maps(1, 3, 4, 5, seed=2)
    x, y, values = student.flatten().tolist(), teacher.flatten().tolist(), 60
    parts = FeatureMSETerms()(student, teacher)
    assert parts["teacher"].item() == pytest.approx(sum(b * b for b in y) / values)
    assert parts["student"].item() == pytest.approx(sum(a * a for a in x) / values)
    product = sum(a * b for a, b in zip(x, y, strict=True))
    assert parts["product"].item() == pytest.approx(-2 * product / values)


def test_lengths_worked_out_by_hand_come_back_from_the_parts() -> None:
    student = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
    teacher = torch.tensor([0.0, 12.0]).reshape(1, 2, 1, 1)
    parts = feature_mse_terms(student, teacher)
    assert (2 * parts["teacher"]).sqrt().item() == pytest.approx(12)
    assert (2 * parts["student"]).sqrt().item() == pytest.approx(5)
    # mn/N = 12 * 5 / 2
    assert (parts["teacher"] * parts["student"]).sqrt().item() == pytest.approx(30)


def test_sum_and_gradient_are_those_of_feature_matching() -> None:
    teacher = maps(2, 3, 4, 5, seed=2)
    whole, apart = (maps(2, 3, 4, 5, seed=1).requires_grad_() for _ in range(2))
    expected = feature_mse(whole, teacher)
    total = torch.stack([*feature_mse_terms(apart, teacher).values()]).sum()
    assert_close(total, expected)
    expected.backward()
    total.backward()
    assert_close(apart.grad, whole.grad)


def test_refuses_maps_of_another_width() -> None:
    with pytest.raises(ValueError, match="feature_mse_terms: expected equal channel counts"):
        feature_mse_terms(maps(1, 2, 3, 3), maps(1, 4, 3, 3))
