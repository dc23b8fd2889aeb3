"""Adaptive perspective: the equation in plain loops, absent classes, gradient."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Perspective, perspective
from segdistill.types import Batch


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def cosine(x: list[float], y: list[float]) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x)) / math.sqrt(sum(b * b for b in y))


def means(maps: Tensor, labels: Tensor) -> dict[int, list[float]]:
    found = {}
    for k in sorted(set(labels.flatten().tolist()) - {255}):
        pixels = [maps[n, :, i, j].tolist() for n, i, j in (labels == k).nonzero().tolist()]
        found[k] = [sum(values) / len(pixels) for values in zip(*pixels, strict=True)]
    return found


def log_softmax(scores: list[float]) -> list[float]:
    norm = math.log(sum(map(math.exp, scores)))
    return [score - norm for score in scores]


def labels(*shape: int) -> Tensor:
    drawn = torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(9))
    drawn[0, 0] = 255
    return drawn


def test_equals_the_equation_over_the_classes_of_the_batch() -> None:
    student, teacher, given = maps(2, 3, 2, 4, seed=1), maps(2, 3, 2, 4, seed=2), labels(2, 2, 4)
    ours, theirs = means(student, given), means(teacher, given)
    values = []
    for n in range(2):
        for i in range(2):
            for j in range(4):
                logs = [
                    log_softmax([4 * cosine(z[n, :, i, j].tolist(), mean[k]) for k in mean])
                    for z, mean in ((student, ours), (teacher, theirs))
                ]
                values.append(sum(math.exp(q) * (q - p) for p, q in zip(*logs, strict=True)))
    of_map, of_mean = perspective(student, teacher, given, classes=7, scale=4.0)
    assert_close(of_map, torch.tensor(sum(values) / len(values), dtype=torch.float64))
    apart = [1 - cosine(ours[k], theirs[k]) for k in ours]
    assert_close(of_mean, torch.tensor(sum(apart) / len(apart), dtype=torch.float64))


@pytest.mark.parametrize("part", [0, 1])
def test_gradient_is_right_and_flows_through_the_means(part: int) -> None:
    student, teacher, given = maps(2, 3, 2, 3, seed=1), maps(2, 3, 2, 3, seed=2), labels(2, 2, 3)
    student.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: perspective(s, teacher, given, classes=4, scale=2.0)[part], student
    )


def test_nothing_labelled_is_0() -> None:
    student = maps(1, 3, 2, 2).requires_grad_()
    nothing = torch.full((1, 2, 2), 255)
    of_map, of_mean = perspective(student, maps(1, 3, 2, 2, seed=1), nothing, classes=3)
    (of_map + of_mean).backward()
    assert of_map == 0
    assert of_mean == 0


def test_the_adapter_learns_from_labels_alone() -> None:
    torch.manual_seed(0)
    module = Perspective(3, 4, map_weight=2.0, mean_weight=3.0).double()
    student = maps(2, 3, 2, 4, seed=1).requires_grad_()
    teacher, given = maps(2, 3, 2, 4, seed=2).requires_grad_(), labels(2, 2, 4)
    batch = Batch(torch.zeros(2, 3, 2, 4), given, torch.ones(2, 2, 4) > 0)
    parts = module(student, teacher, batch)
    of_map, of_mean = perspective(student, teacher, given, classes=4)
    assert_close(parts["map"], 2 * of_map)
    assert_close(parts["mean"], 3 * of_mean)
    (parts["map"] + parts["mean"]).backward()
    assert module.adapter.weight.grad is None
    parts["adapter"].backward()
    assert module.adapter.weight.grad is not None
    assert teacher.grad is None
