"""A gradient of the gradient is refused, never silently zero."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from segdistill.losses import (
    batch_relations,
    intra_class_variation,
    pairwise_similarity,
    pixelwise_kl,
)


def by_class(student: Tensor, teacher: Tensor) -> Tensor:
    labels = torch.zeros(1, 3, 4, dtype=torch.int64)
    return intra_class_variation(student, teacher, labels, classes=1)


@pytest.mark.parametrize("loss", [pixelwise_kl, pairwise_similarity, batch_relations, by_class])
def test_refuses_a_graph_of_the_gradient(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    student, teacher = torch.randn(2, 1, 3, 3, 4)
    value = loss(student.requires_grad_(), teacher)
    with pytest.raises(RuntimeError, match=r"gradient of first order, got create_graph=True; "):
        torch.autograd.grad(value, student, create_graph=True)
    assert torch.autograd.grad(value, student)[0].isfinite().all()
