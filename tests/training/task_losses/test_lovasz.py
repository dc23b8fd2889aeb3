"""Lovász-softmax: the Jaccard loss of each class, extended over sorted errors."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.training.task_losses.lovasz import lovasz

from .overlap import LABELS, WEIGHTS, logits, positions


def jaccard_loss(wrong: set[int], truth: set[int]) -> float:
    """Return one minus the IoU of a class whose positions in ``wrong`` are all predicted wrong."""
    predicted = truth.symmetric_difference(wrong)
    return 1 - len(truth & predicted) / len(truth | predicted)


def reference(maps: Tensor, labels: Tensor, weights: list[float]) -> float:
    known = positions(maps, labels)
    total = divisor = 0.0
    for k in range(maps.shape[1]):
        truth = {place for place, (_, label) in enumerate(known) if label == k}
        if not truth:
            continue
        errors = [1 - q[k] if label == k else q[k] for q, label in known]
        order = sorted(range(len(known)), key=lambda place: -errors[place])
        for i, place in enumerate(order):
            rise = jaccard_loss(set(order[: i + 1]), truth) - jaccard_loss(set(order[:i]), truth)
            total += weights[k] * errors[place] * rise
        divisor += weights[k]
    return total / divisor


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_equals_the_equation(weights: Tensor | None) -> None:
    plain = [1.0] * 4 if weights is None else weights.tolist()
    expected = reference(logits(), LABELS, plain)
    given = lovasz(logits(), LABELS, weights=None if weights is None else weights.float())
    assert given.item() == pytest.approx(expected, rel=1e-5)


def test_is_one_minus_the_mean_iou_of_a_certain_network() -> None:
    predicted = torch.tensor([[[0, 1, 0], [3, 0, 0]], [[1, 0, 3], [0, 1, 1]]])
    certain = 100.0 * F.one_hot(predicted, 4).permute(0, 3, 1, 2)
    # By hand: class 0 has 3 of 5, class 1 has 2 of 3, class 3 has 2 of 3.
    expected = 1 - (3 / 5 + 2 / 3 + 2 / 3) / 3
    assert lovasz(certain, LABELS).item() == pytest.approx(expected, abs=1e-5)


def test_adds_cross_entropy_where_asked() -> None:
    expected = lovasz(logits(), LABELS) + 2 * F.cross_entropy(logits(), LABELS, ignore_index=255)
    assert_close(lovasz(logits(), LABELS, cross_entropy_weight=2.0), expected, check_dtype=False)


def test_the_gradient_is_right_and_passes_no_position_without_a_class() -> None:
    maps = logits().requires_grad_()
    lovasz(maps, LABELS).backward()
    assert maps.grad is not None
    assert maps.grad.permute(0, 2, 3, 1)[LABELS == 255].count_nonzero() == 0
    change = torch.zeros_like(maps)
    change[0, 1, 1, 0] = 1e-5
    slope = reference(maps.detach() + change, LABELS, [1.0] * 4)
    slope -= reference(maps.detach() - change, LABELS, [1.0] * 4)
    assert maps.grad[0, 1, 1, 0].item() == pytest.approx(slope / 2e-5, rel=1e-3)


def test_nothing_labelled_gives_zero_with_a_graph() -> None:
    maps = logits().requires_grad_()
    loss = lovasz(maps, torch.full_like(LABELS, 255), cross_entropy_weight=1.0)
    loss.backward()
    assert loss.item() == 0.0
    assert maps.grad is not None
    assert maps.grad.count_nonzero() == 0
