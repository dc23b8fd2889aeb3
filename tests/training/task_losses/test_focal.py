"""Focal loss: the paper's equation in plain floats."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.training.task_losses.focal import focal


def test_equals_the_papers_equation() -> None:
    logits = torch.randn(2, 3, 2, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([[[0, 1, 2], [255, 1, 0]], [[2, 2, 255], [0, 0, 1]]])
    weights = [1.0, 0.5, 4.0]
    total = divisor = 0.0
    for n in range(2):
        for y in range(2):
            for x in range(3):
                label = int(labels[n, y, x])
                if label == 255:
                    continue
                scores = [math.exp(float(logits[n, k, y, x])) for k in range(3)]
                q = scores[label] / sum(scores)
                total += weights[label] * (1 - q) ** 1.5 * -math.log(q)
                divisor += weights[label]
    loss = focal(logits, labels, whole=labels, weights=torch.tensor(weights), gamma=1.5)
    assert loss.item() == pytest.approx(total / divisor, rel=1e-5)


def test_without_gamma_it_is_cross_entropy() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(32).reshape(2, 4, 4) % 3
    assert_close(focal(logits, labels, whole=labels, gamma=0.0), F.cross_entropy(logits, labels))


def test_stays_finite_for_a_class_without_any_probability() -> None:
    logits = torch.tensor([1e4, 0.0]).reshape(1, 2, 1, 1).requires_grad_()
    labels = torch.ones(1, 1, 1, dtype=torch.int64)
    loss = focal(logits, labels, whole=labels)
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
