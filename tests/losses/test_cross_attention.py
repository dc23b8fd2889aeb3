"""Cross-attention distillation: the equation in plain loops, padding, gradient."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import CrossAttention


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def built(student: int = 4, teacher: int = 4, *, open_gate: bool = True) -> CrossAttention:
    torch.manual_seed(0)
    module = CrossAttention(student, teacher).double().eval()
    if open_gate:
        torch.nn.init.constant_(module.norm.weight, 0.7)
    return module


def normalised(maps: Tensor) -> Tensor:
    result = torch.zeros_like(maps)
    for n in range(maps.shape[0]):
        for c in range(maps.shape[1]):
            values = maps[n, c].flatten().tolist()
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / len(values)
            result[n, c] = (maps[n, c] - mean) / math.sqrt(variance + 1e-5)
    return result


def test_equals_the_equation_with_the_map_of_pairs() -> None:
    module = built()
    student, teacher = maps(2, 4, 4, 6, seed=1), maps(2, 4, 4, 6, seed=2)
    pooled = torch.nn.functional.max_pool2d(teacher, 2)
    refined = []
    for n in range(2):
        query = module.query(student)[n].flatten(1).T.tolist()
        keys = module.key(pooled)[n].flatten(1).T.tolist()
        values = module.value(pooled)[n].flatten(1).T.tolist()
        seen = []
        for q in query:
            weights = [sum(a * b for a, b in zip(q, k, strict=True)) / len(keys) for k in keys]
            seen.append(
                [sum(w * v[d] for w, v in zip(weights, values, strict=True)) for d in range(2)]
            )
        attended = torch.tensor(seen, dtype=torch.float64).T.reshape(1, 2, 4, 6)
        refined.append(module.norm(module.refine(attended)))
    ours = normalised(student + torch.cat(refined).detach())
    expected = (ours - normalised(teacher)).square().mean() / 2
    assert_close(module(student, teacher).detach(), expected)


def test_starts_as_a_comparison_of_normalised_maps() -> None:
    module = built(open_gate=False)
    student, teacher = maps(2, 4, 3, 5, seed=1), maps(2, 4, 3, 5, seed=2)
    expected = (normalised(student) - normalised(teacher)).square().mean() / 2
    assert_close(module(student, teacher).detach(), expected)


def test_padding_is_not_attended_to() -> None:
    module = built()
    student, teacher = maps(2, 4, 4, 7, seed=1), maps(2, 4, 4, 7, seed=2)
    valid = torch.ones(2, 4, 7, dtype=torch.bool)
    valid[:, :, 5:] = False
    from segdistill.types import Batch

    batch = Batch(torch.zeros(2, 3, 4, 7), torch.zeros(2, 4, 7), valid)
    cut = module(student[..., :5], teacher[..., :5])
    assert_close(module(student, teacher, batch), cut)


def test_gradient_is_right_and_widths_may_differ() -> None:
    module = built(3, 4)
    student, teacher = maps(1, 3, 3, 4, seed=1).requires_grad_(), maps(1, 4, 3, 4, seed=2)
    assert torch.autograd.gradcheck(lambda s: module(s, teacher), student)
    module(student, teacher).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_refuses_a_reduction_below_1() -> None:
    with pytest.raises(ValueError, match="expected reduction > 0"):
        CrossAttention(3, 4, reduction=0)
