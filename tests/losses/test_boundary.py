"""Boundary distillation: edges by loops over windows, the equation, gradient, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Boundary, boundary_edge, channelwise_kl, edge_masks
from segdistill.types import Batch


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def edges_of(label: Tensor, classes: int, width: int) -> Tensor:
    """Dilation minus erosion of each class, one window at a time; 255 is outside."""
    height, columns = label.shape
    masks, reach = torch.zeros(classes, height, columns), width // 2
    for i in range(height):
        for j in range(columns):
            rows, cols = (
                slice(max(i - reach, 0), i + reach + 1),
                slice(max(j - reach, 0), j + reach + 1),
            )
            seen = set(label[rows, cols].flatten().tolist()) - {255}
            if len(seen) > 1:
                for k in seen:
                    masks[k, i, j] = 1
    return masks


def labels(*shape: int) -> Tensor:
    drawn = torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(4))
    drawn = drawn.repeat_interleave(3, dim=1).repeat_interleave(3, dim=2)
    drawn[0, 0, :4] = 255
    return drawn


@pytest.mark.parametrize("window", [1, 3, 5])
def test_edges_are_dilation_minus_erosion(window: int) -> None:
    given = labels(2, 3, 4)
    masks = edge_masks(given, classes=3, size=(9, 12), window=window)
    for n in range(2):
        assert_close(masks[n], edges_of(given[n], 3, window))
    smaller = edge_masks(given, classes=3, size=(3, 4), window=window)
    assert_close(smaller, torch.nn.functional.avg_pool2d(masks, 3))


def test_the_edge_equals_the_equation() -> None:
    student, teacher = maps(2, 3, 3, 4, seed=1), maps(2, 3, 3, 4, seed=2)
    masks = edge_masks(labels(2, 3, 4), classes=3, size=(3, 4), window=3).double()
    total = [0.0] * 3
    for n in range(2):
        for i in range(3):
            for j in range(4):
                logs = []
                for z in (student, teacher):
                    scores = [float(z[n, k, i, j] * masks[n, k, i, j]) / 2 for k in range(3)]
                    norm = math.log(sum(map(math.exp, scores)))
                    logs.append([score - norm for score in scores])
                kl = sum(math.exp(q) * (q - p) for p, q in zip(*logs, strict=True))
                for k in range(3):
                    total[k] += float(masks[n, k, i, j]) * kl
    counts = masks.sum(dim=(0, 2, 3)).tolist()
    expected = 4 * sum(value / max(count, 1) for value, count in zip(total, counts, strict=True))
    loss = boundary_edge(student, teacher, masks, temperature=2.0)
    assert_close(loss, torch.tensor(expected, dtype=torch.float64))


def test_one_class_alone_is_all_body() -> None:
    student, teacher = maps(1, 3, 4, 4, seed=1), maps(1, 3, 4, 4, seed=2)
    given = torch.zeros(1, 8, 8, dtype=torch.int64)
    batch = Batch(torch.zeros(1, 3, 8, 8), given, given == 0)
    parts = Boundary(edge_weight=1, body_weight=1)(student, teacher, batch)
    assert parts["edge"] == 0
    assert_close(parts["body"], channelwise_kl(student, teacher))


def test_gradient_is_right() -> None:
    student, teacher = maps(1, 3, 3, 4, seed=1).requires_grad_(), maps(1, 3, 3, 4, seed=2)
    given = labels(1, 3, 4)
    batch = Batch(torch.zeros(1, 3, 9, 12), given, torch.ones(1, 9, 12) > 0)
    module = Boundary(window=3)

    def total(x: Tensor) -> Tensor:
        return torch.stack(list(module(x, teacher, batch).values())).sum()

    assert torch.autograd.gradcheck(total, student)


def test_refuses_an_even_window() -> None:
    with pytest.raises(ValueError, match=r"expected an odd window, got 4; use 5"):
        Boundary(window=4)
