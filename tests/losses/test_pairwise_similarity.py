"""Pair-wise distillation: the equation in plain loops, pooling, masks, cancellation."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.losses import PairwiseSimilarity, pairwise_similarity
from segdistill.types import Batch


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cosine(x: list[float], y: list[float]) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x)) / math.sqrt(sum(b * b for b in y))


def reference(student: Tensor, teacher: Tensor, valid: Tensor | None = None) -> float:
    images = []
    for n in range(len(student)):
        counted = torch.ones(student.shape[2:]) if valid is None else valid[n]
        places = counted.nonzero().tolist()
        ours = [student[n, :, i, j].tolist() for i, j in places]
        theirs = [teacher[n, :, i, j].tolist() for i, j in places]
        squares = [
            (cosine(ours[a], ours[b]) - cosine(theirs[a], theirs[b])) ** 2
            for a in range(len(places))
            for b in range(len(places))
        ]
        images.append(sum(squares) / len(places) ** 2)
    return sum(images) / len(images)


# More positions than channels, and fewer: two ways to the same sum.
@pytest.mark.parametrize(("ours", "theirs"), [(3, 5), (5, 3), (24, 3), (30, 40)])
def test_equals_the_papers_equation(ours: int, theirs: int) -> None:
    student, teacher = maps(2, ours, 3, 6, seed=1), maps(2, theirs, 3, 6, seed=2)
    expected = torch.tensor(reference(student, teacher), dtype=torch.float64)
    assert_close(pairwise_similarity(student, teacher), expected)
    assert_close(PairwiseSimilarity()(student, teacher), expected)


def test_a_value_worked_out_by_hand() -> None:
    # Two positions: at right angles for the student, parallel for the teacher. Of the four
    # pairs two differ by 1: L = 2 / 4.
    student = torch.tensor([[2.0, 0.0], [0.0, 3.0]]).reshape(1, 2, 1, 2)
    teacher = torch.ones(1, 2, 1, 2)
    assert_close(pairwise_similarity(student, teacher), torch.tensor(0.5))


def test_does_not_change_with_the_scale_of_a_position() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    scale = torch.rand(2, 1, 4, 5, generator=torch.Generator().manual_seed(3)) + 0.1
    assert_close(
        pairwise_similarity(scale * student, teacher), pairwise_similarity(student, teacher)
    )


def test_does_not_depend_on_the_resolution() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    larger = [x.repeat_interleave(2, 2).repeat_interleave(3, 3) for x in (student, teacher)]
    assert_close(pairwise_similarity(*larger), pairwise_similarity(student, teacher))


def test_cancellation_costs_no_more_than_rounding() -> None:
    # After a ReLU the cosines are near each other and the three squared norms near 1.
    teacher = maps(1, 32, 30, 40, seed=1, dtype=torch.float32).relu() + 0.5
    student = teacher + 0.05 * maps(1, 32, 30, 40, seed=2, dtype=torch.float32)
    units = [F.normalize(x.double().flatten(2), dim=1) for x in (student, teacher)]
    expected = (units[0].mT @ units[0] - units[1].mT @ units[1]).square().mean()
    assert expected < 1e-3
    assert_close(pairwise_similarity(student, teacher).double(), expected, atol=2e-7, rtol=0)


@pytest.mark.parametrize("kernel", [2, (3, 2)])
def test_pools_the_maximum_of_cells_and_of_what_is_left_at_the_border(
    kernel: int | tuple[int, int],
) -> None:
    student, teacher = maps(2, 3, 5, 7, seed=1), maps(2, 4, 5, 7, seed=2)
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel

    def pooled(x: Tensor) -> Tensor:
        rows = [x[:, :, i : i + height] for i in range(0, 5, height)]
        cells = [[r[..., j : j + width].amax((2, 3)) for j in range(0, 7, width)] for r in rows]
        return torch.stack([torch.stack(row, dim=-1) for row in cells], dim=-2)

    expected = torch.tensor(reference(pooled(student), pooled(teacher)), dtype=torch.float64)
    assert_close(pairwise_similarity(student, teacher, pool=kernel), expected)
    assert_close(PairwiseSimilarity(kernel)(student, teacher), expected)


def test_the_authors_kernel_of_half_the_map_leaves_four_cells() -> None:
    student, teacher = maps(1, 3, 6, 8, seed=1), maps(1, 3, 6, 8, seed=2)
    cells = [F.max_pool2d(x, (3, 4)) for x in (student, teacher)]
    expected = torch.tensor(reference(*cells), dtype=torch.float64)
    assert_close(pairwise_similarity(student, teacher, pool=(3, 4)), expected)


def test_counts_valid_positions_only() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    valid = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(3)) > 0.4
    expected = torch.tensor(reference(student, teacher, valid), dtype=torch.float64)
    assert_close(pairwise_similarity(student, teacher, valid=valid), expected)
    batch = Batch(torch.zeros(2, 3, 4, 5), torch.zeros(2, 4, 5), valid)
    assert_close(PairwiseSimilarity()(student, teacher, batch), expected)


def test_a_pooled_cell_counts_its_valid_positions() -> None:
    student, teacher = maps(1, 3, 2, 6, seed=1), maps(1, 3, 2, 6, seed=2)
    valid = torch.ones(1, 2, 6, dtype=torch.bool)
    valid[0, :, 3:] = False  # half of the second cell and all of the third
    narrow = [torch.cat((x[..., :2], x[..., 2:3], x[..., 2:3]), dim=3) for x in (student, teacher)]
    expected = pairwise_similarity(*narrow, pool=2)
    assert_close(pairwise_similarity(student, teacher, pool=2, valid=valid), expected)


def test_an_image_without_valid_positions_has_no_part_in_the_mean() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    valid = torch.ones(2, 4, 5, dtype=torch.bool)
    valid[1] = False
    expected = pairwise_similarity(student[:1], teacher[:1])
    assert_close(pairwise_similarity(student, teacher, valid=valid), expected)


def test_a_zero_position_gets_a_bounded_gradient() -> None:
    student, teacher = maps(2, 8, 3, 5, dtype=torch.float32), maps(2, 8, 3, 5, seed=1).float()
    student[0, :, 1, 2] = 0
    student.requires_grad_()
    pairwise_similarity(student, teacher).backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 1e4


@pytest.mark.parametrize("channels", [3, 20])
@pytest.mark.parametrize("pool", [1, 2])
def test_gradient_is_right(channels: int, pool: int) -> None:
    student, teacher = maps(2, channels, 3, 4, seed=1).requires_grad_(), maps(2, 4, 3, 4, seed=2)
    valid = torch.ones(2, 3, 4, dtype=torch.bool)
    valid[0, 0] = False
    assert torch.autograd.gradcheck(
        lambda s: pairwise_similarity(s, teacher, pool=pool, valid=valid), student
    )


@pytest.mark.parametrize("channels", [3, 20])
def test_gradient_is_right_for_vectors_too_short_to_have_a_direction(channels: int) -> None:
    student, teacher = maps(1, channels, 3, 4, seed=1), maps(1, 4, 3, 4, seed=2)
    student[..., 1, 2] *= 1e-6
    assert torch.autograd.gradcheck(
        lambda s: pairwise_similarity(s, teacher), student.requires_grad_(), eps=1e-8, rtol=1e-4
    )


def test_refuses_a_pool_below_one_and_a_mask_of_another_size() -> None:
    with pytest.raises(
        ValueError, match="PairwiseSimilarity: expected a pool of at least 1, got 0"
    ):
        PairwiseSimilarity(0)
    with pytest.raises(ValueError, match=r"valid of shape \(1, 2, 2\), got \(1, 4, 4\)"):
        pairwise_similarity(maps(1, 3, 2, 2), maps(1, 3, 2, 2), valid=torch.ones(1, 4, 4).bool())
