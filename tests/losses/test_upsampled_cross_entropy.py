"""Cross-entropy at full size: the direct form's value and gradient, without its memory."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill import upsampling
from segdistill.losses import upsampled_cross_entropy

CLASSES = 5
WEIGHT = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0], dtype=torch.float64)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upsampling, "_VALUES", 600)


def noise(*shape: int) -> Tensor:
    return 4 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def draw_labels(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(CLASSES, shape, generator=generator)
    return labels.masked_fill(torch.rand(shape, generator=generator) < 0.3, 255)


@pytest.mark.parametrize(
    ("source", "size"),
    [((3, 5), (24, 40)), ((5, 3), (37, 25)), ((7, 6), (7, 6)), ((9, 8), (5, 3)), ((1, 1), (3, 2))],
)
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_equals_the_direct_form(
    source: tuple[int, int], size: tuple[int, int], weight: Tensor | None, smoothing: float
) -> None:
    logits, labels = noise(2, CLASSES, *source), draw_labels(2, *size)
    ours, direct = (logits.clone().requires_grad_() for _ in range(2))
    loss = upsampled_cross_entropy(ours, labels, weight=weight, label_smoothing=smoothing)
    expected = F.cross_entropy(
        F.interpolate(direct, size, mode="bilinear"),
        labels,
        weight=weight,
        ignore_index=255,
        label_smoothing=smoothing,
    )
    (3 * loss).backward()
    (3 * expected).backward()
    assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    assert_close(ours.grad, direct.grad, rtol=1e-12, atol=1e-12)


def test_a_value_worked_out_by_hand() -> None:
    # Halfway between the two pixels the logits are (0, 0): log 2. Beyond them they stay.
    logits = torch.tensor([[[[1.0, -1.0]], [[-1.0, 1.0]]]])
    ends, middle = math.log(1 + math.exp(-2.0)), math.log(1 + math.exp(1.0))
    loss = upsampled_cross_entropy(logits, torch.tensor([[[0, 1, 0, 1]]]))
    assert_close(loss, torch.tensor((2 * ends + 2 * middle) / 4))


def test_no_labelled_position_gives_zero_with_a_graph() -> None:
    logits, labels = noise(1, CLASSES, 2, 2).requires_grad_(), torch.full((1, 4, 4), 255)
    for weight in (None, WEIGHT):
        loss = upsampled_cross_entropy(logits, labels, weight=weight, label_smoothing=0.1)
        loss.backward()
        assert loss.item() == 0.0
        assert logits.grad is not None
        assert (logits.grad == 0).all()


def test_extreme_logits_stay_finite() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    logits[:, 0] = 1e4
    logits.requires_grad_()
    loss = upsampled_cross_entropy(logits, torch.ones(1, 8, 8, dtype=torch.int64))
    loss.backward()
    assert_close(loss.detach(), torch.tensor(1e4))
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_half_precision_is_compared_in_float32_and_gets_a_gradient_of_its_own_type() -> None:
    logits, labels = noise(1, CLASSES, 3, 4).bfloat16().requires_grad_(), draw_labels(1, 24, 31)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = upsampled_cross_entropy(logits, labels)
    assert loss.dtype == torch.float32
    assert_close(loss, upsampled_cross_entropy(logits.float(), labels))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.dtype == torch.bfloat16


def test_memory_format_changes_nothing_and_a_second_derivative_is_refused() -> None:
    logits, labels = noise(2, CLASSES, 3, 4), draw_labels(2, 24, 31)
    last = logits.to(memory_format=torch.channels_last).requires_grad_()
    loss = upsampled_cross_entropy(last, labels)
    assert_close(loss, upsampled_cross_entropy(logits, labels))
    with pytest.raises(RuntimeError, match="not twice differentiable"):
        torch.autograd.grad(loss, last, create_graph=True)


def test_refuses_what_it_cannot_compare() -> None:
    logits, labels = torch.zeros(1, 3, 2, 2), torch.zeros(1, 4, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"upsampled_cross_entropy: expected two maps"):
        upsampled_cross_entropy(logits[0], labels)
    with pytest.raises(ValueError, match=r"expected labels below 3 or 255, got \[3\]"):
        upsampled_cross_entropy(logits, labels + 3)
    with pytest.raises(TypeError, match=r"int64, got torch\.uint8"):
        upsampled_cross_entropy(logits, labels.to(torch.uint8))
    with pytest.raises(ValueError, match=r"label_smoothing in \[0, 1\], got 2"):
        upsampled_cross_entropy(logits, labels, label_smoothing=2)
    with pytest.raises(ValueError, match=r"weight of shape \(3,\), one per class, got \(2,\)"):
        upsampled_cross_entropy(logits, labels, weight=torch.ones(2))
