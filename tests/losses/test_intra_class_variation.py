"""Intra-class variation: the equation in plain loops, rare classes, labels, gradient."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import IntraClassVariation, intra_class_variation
from segdistill.types import Batch


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def labels(*shape: int, classes: int = 4) -> Tensor:
    drawn = torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(9))
    drawn[0, 0] = 255
    return drawn


def cosine(x: list[float], y: list[float]) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x)) / math.sqrt(sum(b * b for b in y))


def variations(image: Tensor, label: Tensor) -> dict[tuple[int, int], float]:
    """Cosine of each labelled pixel and the mean of its class."""
    pixels: dict[int, dict[tuple[int, int], list[float]]] = {}
    for i, j in (label != 255).nonzero().tolist():
        pixels.setdefault(int(label[i, j]), {})[i, j] = image[:, i, j].tolist()
    found = {}
    for members in pixels.values():
        mean = [sum(values) / len(members) for values in zip(*members.values(), strict=True)]
        found |= {place: cosine(vector, mean) for place, vector in members.items()}
    return found


def reference(student: Tensor, teacher: Tensor, given: Tensor) -> float:
    squares = []
    for x, y, label in zip(student, teacher, given, strict=True):
        ours, theirs = variations(x, label), variations(y, label)
        squares += [(ours[place] - theirs[place]) ** 2 for place in ours]
    return sum(squares) / len(squares)


def test_equals_the_papers_equation_over_labelled_pixels() -> None:
    student, teacher, given = maps(2, 3, 4, 5, seed=1), maps(2, 6, 4, 5, seed=2), labels(2, 4, 5)
    expected = torch.tensor(reference(student, teacher, given), dtype=torch.float64)
    assert_close(intra_class_variation(student, teacher, given, classes=7), expected)
    batch = Batch(torch.zeros(2, 3, 4, 5), given, given != 255)
    assert_close(IntraClassVariation(classes=7)(student, teacher, batch), expected)


def test_a_value_worked_out_by_hand() -> None:
    # One class of two pixels. Teacher parallel: cosines 1 and 1. Student at right angles with
    # mean (1/2, 1/2): both cosines 1/√2.
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)
    given = torch.zeros(1, 1, 2, dtype=torch.int64)
    loss = intra_class_variation(student, torch.ones(1, 2, 1, 2), given, classes=1)
    assert_close(loss, torch.tensor((1 - math.sqrt(0.5)) ** 2))


def test_a_class_of_one_pixel_is_its_own_mean() -> None:
    student, teacher = maps(1, 3, 1, 3, seed=1), maps(1, 3, 1, 3, seed=2)
    given = torch.tensor([[[0, 1, 2]]])
    loss = intra_class_variation(student, teacher, given, classes=3)
    assert_close(loss, torch.tensor(0.0, dtype=torch.float64))


def test_means_are_of_one_image() -> None:
    student, teacher, given = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2), labels(2, 4, 5)
    counts = [(label != 255).sum() for label in given]
    alone = [
        intra_class_variation(student[n : n + 1], teacher[n : n + 1], given[n : n + 1], classes=4)
        for n in range(2)
    ]
    expected = (alone[0] * counts[0] + alone[1] * counts[1]) / sum(counts)
    assert_close(intra_class_variation(student, teacher, given, classes=4), expected)


def test_does_not_change_with_the_scale_of_a_map() -> None:
    student, teacher, given = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2), labels(2, 4, 5)
    expected = intra_class_variation(student, teacher, given, classes=4)
    assert_close(intra_class_variation(9 * student, 0.1 * teacher, given, classes=4), expected)


def test_labels_of_another_size_are_taken_by_nearest() -> None:
    student, teacher, given = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2), labels(2, 4, 5)
    large = given.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)
    expected = intra_class_variation(student, teacher, given, classes=4)
    assert_close(intra_class_variation(student, teacher, large, classes=4), expected)


def test_another_ignore_index_is_left_out_as_255_is() -> None:
    student, teacher, given = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2), labels(2, 4, 5)
    other = torch.where(given == 255, -1, given)
    expected = intra_class_variation(student, teacher, given, classes=4)
    loss = intra_class_variation(student, teacher, other, classes=4, ignore_index=-1)
    assert_close(loss, expected)


def test_gradient_is_right_and_flows_through_the_means() -> None:
    student, teacher, given = maps(2, 3, 3, 4, seed=1), maps(2, 5, 3, 4, seed=2), labels(2, 3, 4)
    given[1, 2, 3] = 4  # a class of one pixel
    student.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: intra_class_variation(s, teacher, given, classes=6), student
    )
    intra_class_variation(student, teacher, given, classes=6).backward()
    assert student.grad is not None
    assert_close(student.grad[0, :, 0], torch.zeros(3, 4, dtype=torch.float64))


def test_gradient_is_right_for_vectors_too_short_to_have_a_direction() -> None:
    student, teacher = maps(1, 3, 2, 4, seed=1), maps(1, 3, 2, 4, seed=2)
    given = torch.tensor([[[0, 0, 1, 1], [2, 2, 2, 2]]])
    student[0, :, 0, 1] = 2e-5 - student[0, :, 0, 0]  # the mean of class 0 is too short
    student[0, :, 1, 0] *= 1e-6  # and so is a pixel of class 2
    assert torch.autograd.gradcheck(
        lambda s: intra_class_variation(s, teacher, given, classes=3),
        student.requires_grad_(),
        eps=1e-8,
        rtol=1e-4,
    )


def test_a_zero_pixel_and_a_zero_mean_get_bounded_gradients() -> None:
    student, teacher = maps(1, 3, 1, 4, seed=1).float(), maps(1, 3, 1, 4, seed=2).float()
    student[..., 1] = -student[..., 0]  # class 0 has a mean of zero
    student[..., 2] = 0
    student.requires_grad_()
    given = torch.tensor([[[0, 0, 1, 1]]])
    intra_class_variation(student, teacher, given, classes=2).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 1e5


def test_refuses_labels_outside_the_classes() -> None:
    student = maps(1, 3, 2, 2)
    with pytest.raises(ValueError, match=r"intra_class_variation: expected labels below 3 or 255"):
        intra_class_variation(student, student, torch.full((1, 2, 2), 3), classes=3)
