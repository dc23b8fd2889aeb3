"""Each image's map as one vector: length and direction, values and gradients."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses.maths import blocks
from segdistill.losses.maths.whole_maps import direction_distances, lengths


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_VALUES", 24)


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_lengths_of_every_image_worked_out_by_hand() -> None:
    maps = torch.zeros(2, 3, 1, 2)
    maps[0, 0, 0, 1], maps[0, 2, 0, 0] = 3.0, -4.0
    assert_close(lengths(maps), torch.tensor([5.0, 0.0]))
    valid = torch.tensor([[[True, False]], [[True, True]]])
    assert_close(lengths(maps, valid), torch.tensor([4.0, 0.0]))


@pytest.mark.parametrize("padded", [False, True])
def test_the_gradients_are_right(padded: bool) -> None:
    student, teacher = noise(2, 3, 2, 5).requires_grad_(), noise(2, 3, 2, 5, seed=1)
    valid = noise(2, 2, 5, seed=2) < 0.5 if padded else None
    assert torch.autograd.gradcheck(lambda x: lengths(x, valid), student)
    assert torch.autograd.gradcheck(lambda x: direction_distances(x, teacher, valid), student)
    short = (student.detach() * 1e-7).requires_grad_()  # below the shortest norm
    assert torch.autograd.gradcheck(
        lambda x: direction_distances(x, teacher, valid), short, eps=1e-12, atol=1e-2
    )


def test_a_distance_is_that_of_the_unit_vectors_in_any_memory_format() -> None:
    student, teacher = noise(3, 4, 2, 5), noise(3, 4, 2, 5, seed=1)
    units = [
        maps.flatten(1) / maps.flatten(1).norm(dim=1, keepdim=True) for maps in (student, teacher)
    ]
    expected = (units[0] - units[1]).square().sum(dim=1)
    last = student.to(memory_format=torch.channels_last)
    assert_close(direction_distances(student, teacher), expected)
    assert_close(direction_distances(last, teacher), expected)
    assert_close(direction_distances(2 * teacher, teacher), torch.zeros_like(expected))


def test_half_precision_gets_a_gradient_of_its_own_type_and_zero_maps_none() -> None:
    student = torch.zeros(1, 2, 2, 2, dtype=torch.bfloat16).requires_grad_()
    length = lengths(student)
    assert length.dtype == torch.float32
    length.sum().backward()
    assert student.grad is not None
    assert student.grad.dtype == torch.bfloat16
    assert (student.grad == 0).all()


def test_a_teacher_made_in_inference_mode_is_taken() -> None:
    student = noise(1, 2, 2, 2).requires_grad_()
    with torch.inference_mode():
        teacher = noise(1, 2, 2, 2, seed=1)
    direction_distances(student, teacher).sum().backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0


def test_a_second_derivative_is_refused() -> None:
    student = noise(1, 2, 2, 2).requires_grad_()
    for value in (lengths(student), direction_distances(student, noise(1, 2, 2, 2, seed=1))):
        with pytest.raises(RuntimeError, match="not twice differentiable"):
            torch.autograd.grad(value.sum(), student, create_graph=True)
