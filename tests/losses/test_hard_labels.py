"""Hard labels: cross-entropy against the teacher's class, in plain loops; what does not count."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import HardLabels, hard_labels


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def reference(student: Tensor, teacher: Tensor, valid: Tensor) -> float:
    images, classes, height, width = student.shape
    total, count = 0.0, 0
    for n in range(images):
        for i in range(height):
            for j in range(width):
                if valid[n, i, j]:
                    x, y = student[n, :, i, j].tolist(), teacher[n, :, i, j].tolist()
                    chosen = max(range(classes), key=y.__getitem__)
                    total -= x[chosen] - math.log(sum(map(math.exp, x)))
                    count += 1
    return total / count


def test_equals_the_cross_entropy_against_the_teachers_class() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    valid = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(3)) > 0.3
    every = torch.ones_like(valid)
    assert_close(hard_labels(student, teacher), torch.tensor(reference(student, teacher, every)))
    expected = torch.tensor(reference(student, teacher, valid))
    assert_close(hard_labels(student, teacher, valid=valid), expected)
    assert_close(HardLabels()(student, teacher), hard_labels(student, teacher))


def test_depends_on_the_teachers_class_and_on_nothing_else_of_it() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    assert_close(hard_labels(student, 0.01 * teacher + 7), hard_labels(student, teacher))


def test_is_zero_without_a_valid_position_and_has_a_gradient() -> None:
    student = maps(1, 3, 2, 2, seed=1).requires_grad_()
    loss = hard_labels(student, maps(1, 3, 2, 2), valid=torch.zeros(1, 2, 2, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert student.grad is not None
    assert not student.grad.any()


def test_gradient_is_right_and_never_reaches_the_teacher() -> None:
    student = maps(1, 2, 2, 3, seed=1, dtype=torch.float64).requires_grad_()
    teacher = maps(1, 2, 2, 3, seed=2, dtype=torch.float64).requires_grad_()
    hard_labels(student, teacher).backward()
    probabilities = student.detach().softmax(dim=1)
    chosen = torch.nn.functional.one_hot(teacher.argmax(dim=1), 2).movedim(-1, 1)
    assert_close(student.grad, (probabilities - chosen) / 6)
    assert teacher.grad is None


def test_refuses_maps_of_other_classes() -> None:
    with pytest.raises(ValueError, match="hard_labels: expected equal channel counts"):
        hard_labels(maps(1, 3, 2, 2), maps(1, 4, 2, 2))


def test_refuses_logits_of_one_class() -> None:
    with pytest.raises(ValueError, match="hard_labels: expected logits of at least 2 classes"):
        hard_labels(maps(1, 1, 2, 2), maps(1, 1, 2, 2))
