"""Contrast of channel groups: the equation in plain loops, padding, gradient, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import ContrastGroups, contrast_groups, feature_mse


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def reference(student: Tensor, teacher: Tensor, groups: int, patch: int, t: float) -> float:
    images, channels, height, width = student.shape
    size, total = channels // groups, 0.0
    for n in range(images):
        values = []
        for i in range(height):
            for j in range(width):
                around = [
                    (a, b)
                    for a in range(height)
                    for b in range(width)
                    if a // patch == i // patch and b // patch == j // patch
                ]
                for m in range(groups):
                    x = student[n, m * size : (m + 1) * size, i, j].tolist()

                    def score(g: int, a: int, b: int, x: list[float] = x, n: int = n) -> float:
                        y = teacher[n, g * size : (g + 1) * size, a, b].tolist()
                        return -sum(abs(p - q) for p, q in zip(x, y, strict=True)) / t

                    own = score(m, i, j)
                    others = [score(g, a, b) for g in range(groups) if g != m for a, b in around]
                    values.append(math.log(sum(map(math.exp, [own, *others]))) - own)
        total += sum(values) / len(values)
    return total / images


@pytest.mark.parametrize("size", [(2, 4), (3, 5)], ids=str)
def test_equals_the_equation(size: tuple[int, int]) -> None:
    student, teacher = maps(2, 6, *size, seed=1), maps(2, 6, *size, seed=2)
    expected = torch.tensor(reference(student, teacher, 3, 2, 0.7), dtype=torch.float64)
    loss = contrast_groups(student, teacher, groups=3, patch=2, pool=1, temperature=0.7)
    assert_close(loss, expected)


def test_maps_are_max_pooled_first() -> None:
    student, teacher = maps(2, 4, 5, 6, seed=1), maps(2, 4, 5, 6, seed=2)
    pooled = [torch.nn.functional.max_pool2d(x, 2, ceil_mode=True) for x in (student, teacher)]
    expected = contrast_groups(*pooled, groups=2, patch=2, pool=1)
    assert_close(contrast_groups(student, teacher, groups=2, patch=2, pool=2), expected)


def test_padding_is_neither_anchor_nor_contrast() -> None:
    student, teacher = maps(2, 4, 4, 7, seed=1), maps(2, 4, 4, 7, seed=2)
    valid = torch.ones(2, 4, 7, dtype=torch.bool)
    valid[:, :, 5:] = False
    expected = contrast_groups(student[..., :5], teacher[..., :5], groups=2, patch=2, pool=2)
    loss = contrast_groups(student, teacher, groups=2, patch=2, pool=2, valid=valid)
    assert_close(loss, expected)


def test_gradient_is_right() -> None:
    student, teacher = maps(2, 4, 2, 3, seed=1).requires_grad_(), maps(2, 4, 2, 3, seed=2)
    assert torch.autograd.gradcheck(
        lambda s: contrast_groups(s, teacher, groups=2, patch=2, pool=1, temperature=3.0), student
    )


def test_the_module_contrasts_what_it_generates() -> None:
    torch.manual_seed(0)
    module = ContrastGroups(
        3, 4, feature_weight=2.0, contrast_weight=3.0, groups=2, pool=1
    ).double()
    student, teacher = maps(2, 3, 4, 4, seed=1), maps(2, 4, 4, 4, seed=2)
    module.generation.steps.value = 5
    parts = module(student, teacher)
    module.generation.steps.value = 5
    generated = module.generation.generated(student, teacher, None)
    assert_close(parts["feature"], 2 * feature_mse(generated, teacher))
    assert_close(parts["contrast"], 3 * contrast_groups(generated, teacher, groups=2, pool=1))


def test_more_anchors_than_half_precision_holds_are_counted() -> None:
    student, teacher = maps(1, 16, 64, 128, seed=1), maps(1, 16, 64, 128, seed=2)
    half = contrast_groups(student.half(), teacher.half(), pool=1)
    assert_close(half.double(), contrast_groups(student, teacher, pool=1), rtol=1e-2, atol=0)


def test_refuses_channels_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match=r"divide into 4 groups, got 6; change groups"):
        contrast_groups(maps(1, 6, 4, 4), maps(1, 6, 4, 4), groups=4)
    with pytest.raises(ValueError, match=r"ContrastGroups: .*divide into 16 groups, got 6"):
        ContrastGroups(3, 6)
