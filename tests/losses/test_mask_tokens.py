"""Masked distillation by tokens: the equation in plain loops, the stage before, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import MaskTokens, masked_mse


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_equals_the_equation_within_each_mask() -> None:
    student, teacher = maps(2, 3, 2, 4, seed=1), maps(2, 3, 2, 4, seed=2)
    masks = torch.rand(2, 5, 2, 4, generator=torch.Generator().manual_seed(3)).double()
    total = 0.0
    for n in range(2):
        for t in range(5):
            m = masks[n, t].flatten().tolist()
            for c in range(3):
                pairs = zip(
                    m,
                    student[n, c].flatten().tolist(),
                    teacher[n, c].flatten().tolist(),
                    strict=True,
                )
                total += sum(w**2 * (x - y) ** 2 for w, x, y in pairs) / sum(m)
    expected = torch.tensor(total / (2 * 2 * 5 * 3), dtype=torch.float64)
    assert_close(masked_mse(student, teacher, masks), expected)


def test_a_mask_of_ones_is_half_the_mean_square() -> None:
    student, teacher = maps(2, 3, 2, 4, seed=1), maps(2, 3, 2, 4, seed=2)
    expected = (student - teacher).square().mean() / 2
    assert_close(masked_mse(student, teacher, torch.ones(2, 1, 2, 4).double()), expected)


def test_gradient_is_right_and_an_empty_mask_is_finite() -> None:
    student, teacher = maps(2, 3, 2, 3, seed=1).requires_grad_(), maps(2, 3, 2, 3, seed=2)
    masks = torch.rand(2, 4, 2, 3, generator=torch.Generator().manual_seed(3)).double()
    assert torch.autograd.gradcheck(lambda s: masked_mse(s, teacher, masks), student)
    assert masked_mse(student, teacher, torch.zeros_like(masks)) == 0


def labels(teacher: Tensor) -> Tensor:
    return teacher.argmax(dim=1)


def test_the_stage_before_lowers_its_loss_and_then_tokens_stay() -> None:
    module, teacher = MaskTokens(4, tokens=3, seed=1), maps(2, 4, 5, 6).float()
    losses: list[float] = []
    module.prepare(
        lambda step: teacher,
        20,
        labels=lambda step: labels(teacher),
        progress=lambda done, loss: losses.append(float(loss)),
    )
    assert losses[-1] < losses[0]
    tokens = module.tokens.clone()
    assert not module.tokens.requires_grad
    student = maps(2, 4, 5, 6, seed=3).float()
    value = module(student, teacher)
    masks = torch.einsum("mk,nkhw->nmhw", tokens, teacher).sigmoid()
    assert_close(value, masked_mse(student, teacher, masks))
    assert torch.equal(tokens, module.tokens)


def test_the_stage_before_goes_on_where_it_was_left() -> None:
    teacher = maps(2, 4, 5, 6).float()

    def stage(module: MaskTokens, steps: int) -> None:
        module.prepare(lambda step: teacher, steps, labels=lambda step: labels(teacher))

    whole, first, second = (MaskTokens(4, seed=1) for _ in range(3))
    stage(whole, 5)
    stage(first, 2)
    second.load_state_dict(first.state_dict())
    stage(second, 5)
    assert torch.equal(whole.tokens, second.tokens)


def test_dice_of_equal_masks_is_1_and_the_stage_counts_labels_alone() -> None:
    module, teacher = MaskTokens(3, tokens=2).double(), maps(1, 3, 2, 2)
    module.tokens.data.zero_()  # every mask is 1/2, their sum 1: the logits as they are
    given = torch.tensor([[[0, 255], [2, 1]]])
    loss = module._stage_loss(teacher, given, None)
    entropy = [
        -float(teacher[0, :, i, j].log_softmax(dim=0)[k])
        for i, j, k in ((0, 0, 0), (1, 0, 2), (1, 1, 1))
    ]
    assert math.isclose(float(loss), sum(entropy) / 3 + 1)


def test_refuses_to_compare_before_the_stage() -> None:
    with pytest.raises(RuntimeError, match="expected trained tokens, got 0 of no steps"):
        MaskTokens(3)(maps(1, 3, 2, 2), maps(1, 3, 2, 2))
    with pytest.raises(ValueError, match=r"expected logits \(N, 4, H, W\)"):
        MaskTokens(4).prepare(
            lambda step: maps(1, 3, 2, 2), 1, labels=lambda step: torch.zeros(1, 2, 2).long()
        )
