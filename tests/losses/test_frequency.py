"""Frequency distillation: the equation in plain loops, the stage before, padding, refusals."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from segdistill.losses import Frequency, masked_wavelet_l1
from segdistill.losses.maths.haar import haar, inverse_haar
from segdistill.types import Batch

Band = list[list[float]]


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def masks(tokens: int, *sizes: tuple[int, int], images: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(9)
    return [
        torch.rand(images, tokens, *size, generator=generator, dtype=torch.float64)
        for size in sizes
    ]


def split(band: Band) -> tuple[Band, list[Band]]:
    """Return the low and the three high bands of one channel, cell by cell."""
    rows, columns = len(band), len(band[0])

    def at(i: int, j: int) -> float:
        return band[i][j] if i < rows and j < columns else 0.0

    signs = [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
    bands: list[Band] = [
        [
            [
                (at(i, j) + right * at(i, j + 1) + below * at(i + 1, j) + across * at(i + 1, j + 1))
                / 2
                for j in range(0, columns, 2)
            ]
            for i in range(0, rows, 2)
        ]
        for right, below, across in signs
    ]
    return bands[0], bands[1:]


def reference(
    student: Tensor, teacher: Tensor, masks: list[Tensor], low_masks: Tensor | None = None
) -> Tensor:
    """The equation, one float at a time, sharing no code with the package."""
    images, channels = student.shape[:2]
    tokens, total = masks[0].shape[1], 0.0
    for n in range(images):
        for c in range(channels):
            ours, theirs = student[n, c].tolist(), teacher[n, c].tolist()
            for j, mask in enumerate(masks):
                (ours, own), (theirs, others) = split(ours), split(theirs)
                compared = [(mask, 3, own, others)]
                if low_masks is not None and j == len(masks) - 1:
                    compared.append((low_masks, 1, [ours], [theirs]))
                for weights, bands, first, second in compared:
                    cells = weights[n, 0].numel()
                    for a, b in zip(first, second, strict=True):
                        for m in range(tokens):
                            for i in range(len(a)):
                                for k in range(len(a[0])):
                                    share = float(weights[n, m, i, k]) / (bands * tokens * cells)
                                    total += share * abs(a[i][k] - b[i][k])
    return torch.tensor(total / (images * channels), dtype=torch.float64)


@pytest.mark.parametrize("low", [False, True])
def test_equals_the_equation_level_by_level_and_band_by_band(low: bool) -> None:
    student, teacher = maps(2, 3, 5, 8, seed=1), maps(2, 3, 5, 8, seed=2)
    given = masks(2, (3, 4), (2, 2))
    low_masks = masks(2, (2, 2))[0] if low else None
    value = masked_wavelet_l1(student, teacher, given, low_masks=low_masks)
    assert_close(value, reference(student, teacher, given, low_masks))


def test_a_value_worked_out_by_hand() -> None:
    # One cell 3 1 / 0 0: the bands are 2 (rows), 1 (columns) and 1 (diagonal); masked by 1/2.
    student = torch.tensor([[3.0, 1.0], [0.0, 0.0]]).reshape(1, 1, 2, 2)
    value = masked_wavelet_l1(student, torch.zeros(1, 1, 2, 2), [torch.full((1, 4, 1, 1), 0.5)])
    assert_close(value, torch.tensor(0.5 * (2 + 1 + 1) / 3))


def test_the_transform_is_orthonormal_and_can_be_undone() -> None:
    given = maps(2, 3, 5, 7)
    low, high = haar(given)
    assert low.shape == (2, 3, 3, 4)
    assert high.shape == (2, 3, 3, 3, 4)
    assert_close(low.square().sum() + high.square().sum(), given.square().sum())
    assert_close(inverse_haar(low, high, (5, 7)), given)


def test_a_constant_added_to_a_channel_is_in_the_low_band_alone() -> None:
    student, teacher = maps(1, 3, 4, 8, seed=1), maps(1, 3, 4, 8, seed=2)
    shifted = student + torch.tensor([5.0, -2.0, 0.5]).reshape(1, 3, 1, 1)
    given, low = masks(2, (2, 4), (1, 2), images=1), masks(2, (1, 2), images=1)[0]
    expected = masked_wavelet_l1(student, teacher, given)
    assert_close(masked_wavelet_l1(shifted, teacher, given), expected)
    values = [masked_wavelet_l1(x, teacher, given, low_masks=low) for x in (student, shifted)]
    assert not torch.isclose(*values)


def test_padding_is_outside_the_map() -> None:
    student, teacher = maps(2, 3, 6, 10, seed=1), maps(2, 3, 6, 10, seed=2)
    valid = torch.zeros(2, 6, 10, dtype=torch.bool)
    valid[:, :5, :7] = True
    given = masks(2, (3, 5), (2, 3))
    cut = [given[0][..., :3, :4], given[1][..., :2, :2]]
    expected = masked_wavelet_l1(student[..., :5, :7], teacher[..., :5, :7], cut)
    assert_close(masked_wavelet_l1(student, teacher, given, valid=valid), expected)


def test_gradient_is_right() -> None:
    student, teacher = maps(1, 2, 3, 4, seed=1).requires_grad_(), maps(1, 2, 3, 4, seed=2)
    given = masks(2, (2, 2), (1, 1), images=1)
    low = masks(2, (1, 1), images=1)[0]
    assert torch.autograd.gradcheck(
        lambda s: masked_wavelet_l1(s, teacher, given, low_masks=low), student
    )


def prepared(steps: int = 1, **settings: bool) -> Frequency:
    torch.manual_seed(0)
    module = Frequency(4, 3, tokens=2, levels=2, seed=1, **settings).double()
    stage(module, steps)
    return module


def stage(module: Frequency, steps: int, losses: list[float] | None = None) -> None:
    teacher = maps(2, 4, 6, 8)
    module.prepare(
        lambda step: teacher,
        steps,
        labels=lambda step: teacher[:, :3].argmax(dim=1),
        progress=lambda done, loss: (losses if losses is not None else []).append(float(loss)),
    )


@pytest.mark.parametrize("low", [False, True])
def test_masks_are_those_of_the_prompts_on_the_sum_of_a_levels_bands(low: bool) -> None:
    module = prepared(low=low)
    student, teacher = maps(2, 4, 6, 8, seed=1), maps(2, 4, 6, 8, seed=2)
    prompts, left, found = module.prompts.detach(), teacher, []
    for level in range(2):
        left, high = haar(left)
        found.append(torch.einsum("mc,nchw->nmhw", prompts[level], high.sum(dim=2)).sigmoid())
    low_masks = torch.einsum("mc,nchw->nmhw", prompts[2], left).sigmoid() if low else None
    expected = masked_wavelet_l1(student, teacher, found, low_masks=low_masks)
    assert_close(module(student, teacher), expected)


def test_the_stage_before_lowers_its_loss_and_then_prompts_stay() -> None:
    losses: list[float] = []
    module = prepared()
    stage(module, 30, losses)
    assert losses[-1] < losses[0]
    assert not any(parameter.requires_grad for parameter in module.parameters())
    before = module.prompts.clone()
    module(maps(2, 4, 6, 8, seed=1), maps(2, 4, 6, 8, seed=2))
    assert torch.equal(before, module.prompts)


def test_the_stage_before_goes_on_where_it_was_left() -> None:
    whole, first = prepared(5), prepared(2)
    torch.manual_seed(3)
    second = Frequency(4, 3, tokens=2, levels=2).double()
    second.load_state_dict(first.state_dict())
    stage(second, 5)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_the_stage_counts_labels_and_valid_positions_alone() -> None:
    module, teacher = prepared(), maps(1, 4, 4, 6)
    module.prompts.data.zero_()  # every mask is 1/2 and the sum of two 1: the map as it is
    given = torch.full((1, 4, 6), 255)
    given[0, 0, 0], given[0, 2, 3], given[0, 3, 5] = 0, 2, 1
    valid = torch.ones(1, 4, 6, dtype=torch.bool)
    valid[..., 5] = False
    loss = module._stage_loss(teacher, given, valid)
    logits = module.reader(teacher.masked_fill(~valid[:, None], 0.0)).log_softmax(dim=1)
    entropy = -float(logits[0, 0, 0, 0] + logits[0, 2, 2, 3]) / 2
    # Equal masks overlap by 1 in each of the two levels and the low band.
    assert math.isclose(float(loss), entropy + 3)


def test_refuses_to_compare_before_the_stage_and_settings_below_1() -> None:
    with pytest.raises(RuntimeError, match="Frequency: expected trained prompts, got 0 of no"):
        Frequency(3, 2)(maps(1, 3, 2, 2), maps(1, 3, 2, 2))
    with pytest.raises(ValueError, match=r"expected features \(N, 4, H, W\)"):
        Frequency(4, 3).prepare(
            lambda step: maps(1, 3, 2, 2), 1, labels=lambda step: torch.zeros(1, 2, 2).long()
        )
    with pytest.raises(ValueError, match="Frequency: expected levels > 0"):
        Frequency(3, 2, levels=0)
    with pytest.raises(ValueError, match="masked_wavelet_l1: expected masks > 0"):
        masked_wavelet_l1(maps(1, 3, 2, 2), maps(1, 3, 2, 2), [])


def test_a_batch_leaves_out_what_was_padded() -> None:
    module = prepared()
    student, teacher = maps(2, 4, 4, 6, seed=1), maps(2, 4, 4, 6, seed=2)
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    valid[..., 4:] = False
    batch = Batch(torch.zeros(2, 3, 4, 6), torch.zeros(2, 4, 6), valid)
    cut = module(student[..., :4], teacher[..., :4])
    assert_close(module(student, teacher, batch), cut)
