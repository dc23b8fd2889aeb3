"""Pixel-wise distillation at full size: pixelwise_kl of resized maps, value and gradient."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill import upsampling
from segdistill.losses import pixelwise_kl, upsampled_kl


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upsampling, "_VALUES", 600)


def noise(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("size", [(24, 40), (25, 37), (6, 7)])
@pytest.mark.parametrize("temperature", [0.5, 4.0])
@pytest.mark.parametrize("padded", [False, True])
def test_equals_the_direct_form_from_two_strides(
    size: tuple[int, int], temperature: float, padded: bool
) -> None:
    student, teacher = noise(2, 5, 3, 5, seed=0), noise(2, 5, 6, 7, seed=1)
    valid = None
    if padded:
        valid = torch.rand(2, *size, generator=torch.Generator().manual_seed(2)) < 0.6
    ours, direct = (student.clone().requires_grad_() for _ in range(2))
    loss = upsampled_kl(ours, teacher, size=size, temperature=temperature, valid=valid)
    resized, theirs = (F.interpolate(maps, size, mode="bilinear") for maps in (direct, teacher))
    expected = pixelwise_kl(resized, theirs, temperature=temperature, valid=valid)
    loss.backward()
    expected.backward()
    assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    assert_close(ours.grad, direct.grad, rtol=1e-10, atol=1e-12)


def test_a_value_worked_out_by_hand() -> None:
    # Teacher 3:1, student 1:1 at every position: 3/4 log(3/2) + 1/4 log(1/2).
    teacher = torch.tensor([math.log(3.0), 0.0]).reshape(1, 2, 1, 1)
    loss = upsampled_kl(torch.zeros(1, 2, 1, 1), teacher, size=(3, 4))
    assert_close(loss, torch.tensor(0.75 * math.log(1.5) + 0.25 * math.log(0.5)))


def test_no_valid_position_gives_zero_with_a_graph_and_the_teacher_gets_no_gradient() -> None:
    student = noise(1, 3, 2, 2, seed=0).requires_grad_()
    teacher = noise(1, 3, 2, 2, seed=1).requires_grad_()
    valid = torch.zeros(1, 8, 8, dtype=torch.bool)
    loss = upsampled_kl(student, teacher, size=(8, 8), valid=valid)
    loss.backward()
    assert loss.item() == 0.0
    assert student.grad is not None
    assert teacher.grad is None


def test_refuses_what_it_cannot_compare() -> None:
    maps = torch.zeros(1, 3, 2, 2)
    with pytest.raises(ValueError, match="upsampled_kl: expected equal classes"):
        upsampled_kl(maps, torch.zeros(1, 4, 2, 2), size=(8, 8))
    with pytest.raises(ValueError, match="temperature > 0"):
        upsampled_kl(maps, maps, size=(8, 8), temperature=0.0)
    with pytest.raises(ValueError, match=r"valid of shape \(1, 8, 8\), got \(1, 2, 2\)"):
        upsampled_kl(maps, maps, size=(8, 8), valid=torch.ones(1, 2, 2, dtype=torch.bool))
