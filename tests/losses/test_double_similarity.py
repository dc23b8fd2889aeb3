"""Double similarity: both parts in plain loops, both readings, gradient, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import (
    DoubleSimilarity,
    category_similarity,
    pixel_similarity,
    spatial_category_similarity,
)


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def unit(vector: list[float]) -> list[float]:
    norm = math.sqrt(sum(x * x for x in vector))
    return [x / norm for x in vector]


def residual(first: Tensor, second: Tensor) -> list[float]:
    ours, theirs = (
        unit([sum(v * v for v in column) / len(column) for column in z.flatten(1).T.tolist()])
        for z in (first, second)
    )
    return unit([b - a for a, b in zip(ours, theirs, strict=True)])


@pytest.mark.parametrize("every_pair", [False, True])
def test_pixel_similarity_equals_the_equation(every_pair: bool) -> None:
    layers = [(maps(2, c, 3, 4, seed=c), maps(2, c + 1, 3, 4, seed=10 + c)) for c in (2, 3, 4)]
    pairs = [(0, 1), (1, 2)] + ([(0, 2)] if every_pair else [])
    total = 0.0
    for i, j in pairs:
        for n in range(2):
            ours, theirs = (residual(layers[i][s][n], layers[j][s][n]) for s in (0, 1))
            total += sum((a - b) ** 2 for a, b in zip(ours, theirs, strict=True))
    expected = torch.tensor(total / (2 * len(pairs)), dtype=torch.float64)
    assert_close(pixel_similarity(layers, every_pair=every_pair), expected)


def gram(rows: list[list[float]]) -> list[float]:
    return [sum(a * b for a, b in zip(x, y, strict=True)) for x in rows for y in rows]


def test_category_similarity_equals_the_equation() -> None:
    student, teacher = maps(2, 3, 2, 4, seed=1), maps(2, 3, 2, 4, seed=2)
    total = 0.0
    for n in range(2):
        grams = []
        for z in (student, teacher):
            shares = (z[n] / 2).flatten(1).softmax(dim=0).tolist()
            grams.append(gram([unit(row) for row in shares]))
        total += sum((a - b) ** 2 for a, b in zip(*grams, strict=True))
    expected = torch.tensor(total / (2 * 9), dtype=torch.float64)
    assert_close(category_similarity(student, teacher, temperature=2.0), expected)


def test_spatial_category_similarity_equals_its_equation() -> None:
    student, teacher = maps(2, 3, 4, 6, seed=1), maps(2, 3, 4, 6, seed=2)
    total = 0.0
    for n in range(2):
        grams = []
        for z in (student, teacher):
            pooled = torch.nn.functional.avg_pool2d(z[n : n + 1], 2)[0].flatten(1) / 4
            grams.append(gram(pooled.softmax(dim=1).tolist()))
        total += sum((a - b) ** 2 for a, b in zip(*grams, strict=True))
    expected = torch.tensor(total / (2 * 9), dtype=torch.float64)
    assert_close(spatial_category_similarity(student, teacher), expected)


def test_gradients_are_right() -> None:
    student, teacher = maps(2, 3, 2, 4, seed=1).requires_grad_(), maps(2, 3, 2, 4, seed=2)
    for function in (category_similarity, spatial_category_similarity):
        assert torch.autograd.gradcheck(lambda s, f=function: f(s, teacher), student)
    layer = maps(2, 4, 2, 4, seed=3), maps(2, 4, 2, 4, seed=4)
    assert torch.autograd.gradcheck(lambda s: pixel_similarity([layer, (s, teacher)]), student)


def test_a_layer_of_another_size_is_resized_to_the_last() -> None:
    small = maps(1, 2, 2, 2, seed=1), maps(1, 2, 2, 2, seed=2)
    last = maps(1, 3, 4, 4, seed=3), maps(1, 3, 4, 4, seed=4)
    assert pixel_similarity([small, last]).isfinite()


def test_the_module_has_both_parts_with_their_weights() -> None:
    student, teacher = maps(2, 3, 2, 4, seed=1), maps(2, 3, 2, 4, seed=2)
    beside = [(student, teacher), (student**2, teacher**2)]
    parts = DoubleSimilarity(2.0, 3.0)(student, teacher, beside=beside)
    assert_close(parts["pixel"], 2 * pixel_similarity(beside))
    assert_close(parts["category"], 3 * category_similarity(student, teacher))
    parts = DoubleSimilarity(spatial=True, temperature=4.0)(student, teacher, beside=beside)
    assert_close(parts["category"], spatial_category_similarity(student, teacher))


def test_refuses_one_layer_alone() -> None:
    with pytest.raises(ValueError, match="expected at least 2 layers, got 1; name more taps"):
        pixel_similarity([(maps(1, 2, 3, 3), maps(1, 2, 3, 3))])


def test_a_class_of_minus_infinity_is_the_limit_of_a_constant_also_over_positions() -> None:
    student, teacher = maps(2, 3, 5, 6, seed=1), maps(2, 3, 5, 6, seed=2)
    low = teacher.clone()
    teacher[:, 1], low[:, 1] = -torch.inf, -5e3
    student.requires_grad_()
    loss = spatial_category_similarity(student, teacher)
    loss.backward()
    assert_close(loss, spatial_category_similarity(student, low))
    assert student.grad is not None
    assert student.grad.isfinite().all()
