"""The critic's difference: teacher minus student, image by image."""

import pytest
import torch
from torch import Tensor

from segdistill.scoring.critic_scores import score_gaps


def first_class(maps: Tensor, images: Tensor) -> Tensor:
    """Score a map by its mean logit of the first class, plus the image's mean."""
    return maps[:, 0].mean(dim=(1, 2)) + images.mean(dim=(1, 2, 3))


def test_is_the_score_of_the_teacher_minus_that_of_the_student() -> None:
    student = torch.zeros(2, 2, 1, 2)
    teacher = torch.zeros(2, 2, 1, 2)
    teacher[1, 0] = 0.25
    images = torch.rand(2, 3, 4, 8, generator=torch.Generator().manual_seed(0))
    gaps = score_gaps(first_class, student, teacher, images)
    assert gaps.tolist() == [pytest.approx(0, abs=1e-6), pytest.approx(0.25)]
    assert score_gaps(first_class, teacher, student, images)[1].item() == pytest.approx(-0.25)


def test_leaves_no_graph() -> None:
    student = torch.zeros(1, 2, 1, 2, requires_grad=True)
    gaps = score_gaps(first_class, student, torch.zeros(1, 2, 1, 2), torch.zeros(1, 3, 2, 2))
    assert not gaps.requires_grad


def test_refuses_maps_of_different_sizes() -> None:
    with pytest.raises(ValueError, match="score_gaps: expected equal shapes"):
        score_gaps(first_class, torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 2, 2), torch.zeros(1))
