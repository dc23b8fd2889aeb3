"""Angular distillation: the equations in plain loops, scale, zero vectors."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.losses import (
    ChannelAngular,
    LayerAngular,
    PointAngular,
    channel_angular,
    layer_angular,
    point_angular,
)

Loss = Callable[[Tensor, Tensor], Tensor]
every_angle = pytest.mark.parametrize("loss", [layer_angular, channel_angular, point_angular])


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def distance(x: Tensor, y: Tensor) -> float:
    """Squared distance of two unit vectors, one float at a time."""
    a, b = x.flatten().tolist(), y.flatten().tolist()
    length_a, length_b = (math.sqrt(sum(v * v for v in vector)) for vector in (a, b))
    return sum((v / length_a - w / length_b) ** 2 for v, w in zip(a, b, strict=True))


def reference(student: Tensor, teacher: Tensor, vectors: Loss) -> float:
    images, channels, height, width = student.shape
    total = 0.0
    for x, y in zip(student, teacher, strict=True):
        if vectors is layer_angular:
            total += distance(x, y)
        elif vectors is channel_angular:
            total += sum(distance(x[c], y[c]) for c in range(channels)) / channels
        else:
            places = [(i, j) for i in range(height) for j in range(width)]
            total += sum(distance(x[:, i, j], y[:, i, j]) for i, j in places) / len(places)
    return total / images


@pytest.mark.parametrize(
    ("loss", "module"),
    [
        (layer_angular, LayerAngular()),
        (channel_angular, ChannelAngular()),
        (point_angular, PointAngular()),
    ],
)
def test_equals_the_papers_equation(loss: Loss, module: nn.Module) -> None:
    student, teacher = maps(3, 4, 2, 5, seed=1), maps(3, 4, 2, 5, seed=2)
    expected = torch.tensor(reference(student, teacher, loss), dtype=torch.float64)
    assert_close(loss(student, teacher), expected)
    assert_close(module(student, teacher), expected)


@pytest.mark.parametrize(
    ("loss", "shape"),
    [(layer_angular, (1, 2, 1, 1)), (channel_angular, (1, 1, 1, 2)), (point_angular, (1, 2, 1, 1))],
)
def test_is_twice_one_minus_the_cosine(loss: Loss, shape: tuple[int, ...]) -> None:
    # 60 degrees apart, whatever the lengths: 2 (1 - 1/2) = 1.
    student = torch.tensor([3.0, 0.0]).reshape(shape)
    teacher = torch.tensor([1.0, math.sqrt(3.0)]).reshape(shape)
    assert_close(loss(student, teacher), torch.tensor(1.0))
    assert_close(loss(student, -student), torch.tensor(4.0))


@every_angle
def test_does_not_change_with_the_scale_of_either_map(loss: Loss) -> None:
    student, teacher = maps(2, 4, 3, 5, seed=1), maps(2, 4, 3, 5, seed=2)
    expected = loss(student, teacher)
    assert_close(loss(1e3 * student, teacher), expected)
    assert_close(loss(0.01 * student, 50 * teacher), expected)


def test_each_form_sees_the_scale_of_other_vectors_than_its_own() -> None:
    student, teacher = maps(2, 4, 3, 5, seed=1), maps(2, 4, 3, 5, seed=2)
    channels = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
    places = 1 + torch.arange(15.0).reshape(1, 1, 3, 5)
    expected = channel_angular(student, teacher)
    assert_close(channel_angular(channels * student, teacher), expected)
    assert not torch.isclose(channel_angular(places * student, teacher), expected)
    expected = point_angular(student, teacher)
    assert_close(point_angular(places * student, teacher), expected)
    assert not torch.isclose(point_angular(channels * student, teacher), expected)


@every_angle
def test_a_zero_vector_gets_a_bounded_gradient(loss: Loss) -> None:
    teacher = maps(2, 4, 3, 5, seed=2, dtype=torch.float32)
    student = maps(2, 4, 3, 5, seed=1, dtype=torch.float32)
    student[0] = 0
    student.requires_grad_()
    loss(student, teacher).backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 1e4


@every_angle
def test_gradient_is_right(loss: Loss) -> None:
    student, teacher = maps(2, 3, 2, 3, seed=1).requires_grad_(), maps(2, 3, 2, 3, seed=2)
    assert torch.autograd.gradcheck(lambda s: loss(s, teacher), student)
