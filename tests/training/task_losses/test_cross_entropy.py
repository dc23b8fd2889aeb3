"""Weighted cross-entropy is torch's, and a batch in parts adds up to it."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.training.task_losses.cross_entropy import cross_entropy

WEIGHTS = torch.tensor([1.0, 0.25, 3.0])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_parts_add_up_to_torchs_mean(weights: torch.Tensor | None) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 5, 6, generator=generator)
    labels = torch.randint(0, 3, (4, 5, 6), generator=generator)
    labels[0], labels[1, :3] = 255, 255
    expected = F.cross_entropy(logits, labels, weight=weights, ignore_index=255)
    assert_close(cross_entropy(logits, labels, whole=labels, weights=weights), expected)
    parts = [
        cross_entropy(logits[n : n + 1], labels[n : n + 1], whole=labels, weights=weights)
        for n in range(4)
    ]
    assert_close(torch.stack(parts).sum(), expected)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_no_labelled_position_gives_zero_with_a_graph(weights: torch.Tensor | None) -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    labels = torch.full((1, 2, 2), 255)
    loss = cross_entropy(logits, labels, whole=labels, weights=weights)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.count_nonzero() == 0
