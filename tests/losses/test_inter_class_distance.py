"""Inter-class distance and position prediction: loops, values by hand, gradient."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import PositionPrediction, inter_class_distance


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def distances(image: Tensor, label: Tensor) -> dict[tuple[int, int], float]:
    means = {}
    for k in sorted(set(label.flatten().tolist()) - {255}):
        pixels = [image[:, i, j].tolist() for i, j in (label == k).nonzero().tolist()]
        means[k] = [sum(values) / len(pixels) for values in zip(*pixels, strict=True)]
    return {(k, m): math.dist(means[k], means[m]) for k in means for m in means if k < m}


def labels(*shape: int) -> Tensor:
    drawn = torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(9))
    drawn[0, 0] = 255
    drawn[1] %= 2
    return drawn


def test_equals_the_equation_over_the_pairs_that_images_have() -> None:
    student, teacher, given = maps(2, 3, 4, 5, seed=1), maps(2, 6, 4, 5, seed=2), labels(2, 4, 5)
    values, pairs = [], []
    for x, y, label in zip(student, teacher, given, strict=True):
        ours, theirs = distances(x, label), distances(y, label)
        pairs.append(len(ours))
        values.append(sum((ours[pair] - theirs[pair]) ** 2 for pair in ours) / len(ours))
    assert pairs == [6, 1]
    expected = torch.tensor(sum(values) / 2, dtype=torch.float64)
    assert_close(inter_class_distance(student, teacher, given, classes=7), expected)


def test_a_value_worked_out_by_hand() -> None:
    # Two classes: 3 and 5 apart for the student, 1 for the teacher: (5 - 1)².
    student = torch.tensor([[0.0, 3.0], [0.0, 4.0]]).reshape(1, 2, 1, 2)
    teacher = torch.tensor([[0.0, 1.0]]).reshape(1, 1, 1, 2)
    loss = inter_class_distance(student, teacher, torch.tensor([[[0, 1]]]), classes=2)
    assert_close(loss, torch.tensor(16.0))


def test_gradient_is_right_and_bounded_where_two_means_are_equal() -> None:
    student, teacher, given = maps(2, 3, 3, 4, seed=1), maps(2, 5, 3, 4, seed=2), labels(2, 3, 4)
    student.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: inter_class_distance(s, teacher, given, classes=4), student
    )
    level = torch.ones(2, 3, 3, 4, requires_grad=True)
    inter_class_distance(level, teacher.float(), given, classes=4).backward()
    assert level.grad is not None
    assert level.grad.isfinite().all()


def test_one_class_alone_is_0_with_a_graph() -> None:
    student = maps(1, 3, 2, 2).requires_grad_()
    given = torch.zeros(1, 2, 2, dtype=torch.int64)
    loss = inter_class_distance(student, maps(1, 3, 2, 2, seed=1), given, classes=4)
    loss.backward()
    assert loss == 0


def test_refuses_labels_outside_the_classes() -> None:
    with pytest.raises(ValueError, match=r"inter_class_distance: expected labels below 3 or 255"):
        inter_class_distance(
            maps(1, 3, 2, 2), maps(1, 3, 2, 2), torch.full((1, 2, 2), 3), classes=3
        )


def test_positions_are_rows_and_columns_from_minus_1_to_1() -> None:
    module = PositionPrediction(2, 3).double()
    for layer in (module.student, module.teacher):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    loss = module(maps(1, 2, 3, 5), maps(1, 3, 3, 5))
    # Predictions of 0: the mean of r² over rows -1, 0, 1 and columns -1, -1/2, 0, 1/2, 1.
    assert_close(loss, torch.tensor(2 / 3 + 2.5 / 5, dtype=torch.float64))


def test_positions_are_learnt_from_features_of_any_size() -> None:
    torch.manual_seed(0)
    module = PositionPrediction(4, 4)
    student, teacher = (30 * maps(2, 4, 6, 8, seed=seed).float().relu() for seed in (1, 2))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2, momentum=0.9)
    values = []
    for _ in range(60):
        loss = module(student, teacher)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert max(values) < 2 * values[0]
    assert values[-1] < 0.9 * values[0]


def test_the_teachers_layer_learns_the_truth_and_the_students_the_teachers() -> None:
    torch.manual_seed(0)
    module = PositionPrediction(2, 3).double()
    student = maps(1, 2, 3, 4, seed=1).requires_grad_()
    teacher = maps(1, 3, 3, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: module(s, teacher), student)
    directions = [z / z.norm(dim=1, keepdim=True) / 3 for z in (student, teacher)]
    ours, theirs = module.student(directions[0]), module.teacher(directions[1]).detach()
    (ours - theirs).square().sum(dim=1).mean().backward()
    expected, student.grad = student.grad, None
    module(student, teacher).backward()
    assert_close(student.grad, expected)
    assert teacher.grad is None
    assert module.teacher.weight.grad is not None
