"""Channel and spatial correlation: all pairs in plain loops, gradient, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import ChannelSpatialCorrelation, channel_similarity, pairwise_similarity


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def cosine(x: list[float], y: list[float]) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x)) / math.sqrt(sum(b * b for b in y))


@pytest.mark.parametrize("shape", [(2, 3, 2, 4), (2, 9, 2, 2)], ids=str)
def test_equals_the_equation_for_few_and_for_many_channels(shape: tuple[int, ...]) -> None:
    student, teacher = maps(*shape, seed=1), maps(*shape, seed=2)
    total = 0.0
    for x, y in zip(student, teacher, strict=True):
        ours, theirs = ([channel.flatten().tolist() for channel in z] for z in (x, y))
        for c in range(shape[1]):
            for d in range(shape[1]):
                total += (cosine(ours[c], ours[d]) - cosine(theirs[c], theirs[d])) ** 2
    expected = torch.tensor(total / (shape[0] * shape[1] ** 2), dtype=torch.float64)
    assert_close(channel_similarity(student, teacher), expected)


def test_a_value_worked_out_by_hand() -> None:
    # Channels at right angles against equal ones: 0 against 1 for two of four pairs.
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)
    assert_close(channel_similarity(student, torch.ones(1, 2, 1, 2)), torch.tensor(0.5))


def test_does_not_change_with_the_scale_of_a_channel() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    scale = torch.tensor([2.0, 0.1, 30.0], dtype=torch.float64)[:, None, None]
    assert_close(channel_similarity(scale * student, teacher), channel_similarity(student, teacher))


def test_gradient_is_right_with_and_without_padding() -> None:
    student, teacher = maps(2, 3, 2, 3, seed=1).requires_grad_(), maps(2, 3, 2, 3, seed=2)
    valid = torch.ones(2, 2, 3, dtype=torch.bool)
    valid[0, :, 2] = False
    assert torch.autograd.gradcheck(lambda s: channel_similarity(s, teacher), student)
    assert torch.autograd.gradcheck(lambda s: channel_similarity(s, teacher, valid=valid), student)


def test_the_module_has_both_parts_with_their_weights() -> None:
    student, teacher = maps(2, 3, 4, 5, seed=1), maps(2, 3, 4, 5, seed=2)
    parts = ChannelSpatialCorrelation(2.0, 3.0, pool=2)(student, teacher)
    assert_close(parts["channel"], 2 * channel_similarity(student, teacher))
    assert_close(parts["spatial"], 3 * pairwise_similarity(student, teacher, pool=2))
    with pytest.raises(ValueError, match="expected a pool of at least 1, got 0"):
        ChannelSpatialCorrelation(pool=0)
