"""Knowledge adaptation's two comparisons: the equations in plain loops."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Affinity, adaptation, affinity, point_angular


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def norm(vector: list[float], order: float) -> float:
    return sum(abs(x) ** order for x in vector) ** (1 / order)


def positions(image: Tensor) -> list[list[float]]:
    return [vector.tolist() for vector in image.flatten(start_dim=1).T]


def reference_adaptation(student: Tensor, teacher: Tensor, p: float, q: float) -> float:
    values = []
    for x, y in zip(student, teacher, strict=True):
        for ours, theirs in zip(positions(x), positions(y), strict=True):
            a, b = norm(ours, q), norm(theirs, q)
            values.append(norm([v / a - w / b for v, w in zip(ours, theirs, strict=True)], p))
    return sum(values) / len(values)


def reference_affinity(student: Tensor, teacher: Tensor) -> float:
    def affinities(image: Tensor) -> list[list[float]]:
        vectors = [[v / norm(vector, 2) for v in vector] for vector in positions(image)]
        return [
            [sum(a * b for a, b in zip(x, y, strict=True)) / len(vectors) for y in vectors]
            for x in vectors
        ]

    total = 0.0
    for x, y in zip(student, teacher, strict=True):
        for ours, theirs in zip(affinities(x), affinities(y), strict=True):
            total += norm([a - b for a, b in zip(ours, theirs, strict=True)], 2)
    return total / len(student)


@pytest.mark.parametrize(("p", "q"), [(2.0, 2.0), (1.0, 2.0), (3.0, 1.5)])
def test_adaptation_equals_the_papers_equation(p: float, q: float) -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    expected = torch.tensor(reference_adaptation(student, teacher, p, q), dtype=torch.float64)
    assert_close(adaptation(student, teacher, p=p, q=q), expected)


@pytest.mark.parametrize(("ours", "theirs"), [(3, 4), (4, 3), (25, 3), (30, 40)])
def test_affinity_equals_the_papers_equation(ours: int, theirs: int) -> None:
    student, teacher = maps(2, ours, 4, 5, seed=1), maps(2, theirs, 4, 5, seed=2)
    expected = torch.tensor(reference_affinity(student, teacher), dtype=torch.float64)
    assert_close(affinity(student, teacher), expected)


def test_values_worked_out_by_hand() -> None:
    # At right angles everywhere: ‖(1, -1)‖ = √2. The student's two positions are parallel,
    # the teacher's at right angles: each row differs by (0, 1) / 2, and there are two.
    student = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).reshape(1, 2, 1, 2)
    assert_close(adaptation(student, student.flip(1)), torch.tensor(math.sqrt(2)))
    teacher = torch.tensor([[3.0, 0.0], [0.0, 5.0]]).reshape(1, 2, 1, 2)
    assert_close(affinity(student, teacher), torch.tensor(1.0))


def test_adaptation_of_one_position_is_the_root_of_the_angular_loss() -> None:
    student, teacher = maps(1, 4, 1, 1, seed=1), maps(1, 4, 1, 1, seed=2)
    assert_close(adaptation(student, teacher), point_angular(student, teacher).sqrt())


@pytest.mark.parametrize("channels", [3, 20])
def test_gradients_are_right(channels: int) -> None:
    student = maps(2, channels, 3, 4, seed=1).requires_grad_()
    teacher = maps(2, channels, 3, 4, seed=2)
    assert torch.autograd.gradcheck(lambda s: adaptation(s, teacher), student)
    assert torch.autograd.gradcheck(lambda s: adaptation(s, teacher, p=3.0, q=1.5), student)
    assert torch.autograd.gradcheck(lambda s: affinity(s, teacher), student)


@pytest.mark.parametrize("loss", [adaptation, affinity])
@pytest.mark.parametrize("channels", [2, 30])
def test_equal_maps_and_zero_positions_get_bounded_gradients(loss, channels) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    teacher = maps(1, channels, 4, 5, dtype=torch.float32)
    student = teacher.clone()
    student[..., 1, 2] = 0
    student.requires_grad_()
    loss(student, teacher).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 1e4


@pytest.mark.parametrize("order", [0.5, math.inf, math.nan])
def test_refuses_orders_that_are_no_norm(order: float) -> None:
    with pytest.raises(ValueError, match="adaptation: expected q >= 1 and finite"):
        adaptation(maps(1, 2, 2, 2), maps(1, 2, 2, 2), q=order)


def test_affinity_alone_compares_the_maps_themselves() -> None:
    # "S1+affinity" of Table 1: no autoencoder, no adapter, widths that differ.
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 7, 4, 5, seed=2)
    assert_close(Affinity()(student, teacher), affinity(student, teacher))
    assert list(Affinity().parameters()) == []
