"""Entropy of softened probabilities: the equation, the ends of its range, the bins."""

import math

import pytest
import torch
from torch.testing import assert_close

from segdistill.scoring.softness import entropy, entropy_counts


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_equals_the_equation(temperature: float) -> None:
    logits = torch.randn(2, 3, 2, 4, generator=torch.Generator().manual_seed(0)).double()
    found = entropy(logits, temperature=temperature)
    assert found.shape == (2, 2, 4)
    for n, row, column in ((0, 0, 0), (1, 1, 3)):
        powers = [math.exp(z / temperature) for z in logits[n, :, row, column].tolist()]
        shares = [power / sum(powers) for power in powers]
        expected = -sum(p * math.log(p) for p in shares)
        assert found[n, row, column].item() == pytest.approx(expected)


def test_a_value_worked_out_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/4: 0.5 ln 2 + 0.5 ln 4 = 1.5 ln 2.
    logits = torch.tensor([0.5, 0.25, 0.25]).log().reshape(1, 3, 1, 1)
    assert entropy(logits).item() == pytest.approx(1.5 * math.log(2))


def test_is_nothing_for_one_class_and_most_for_all_alike() -> None:
    sharp = torch.tensor([1e4, 0.0, 0.0]).reshape(1, 3, 1, 1)
    assert entropy(sharp).item() == 0
    assert entropy(torch.zeros(1, 19, 1, 1)).item() == pytest.approx(math.log(19))
    assert entropy(sharp, temperature=1e6).item() == pytest.approx(math.log(3), abs=1e-4)


def test_half_precision_is_widened() -> None:
    logits = torch.randn(1, 5, 3, 3, generator=torch.Generator().manual_seed(1)).bfloat16()
    assert_close(entropy(logits), entropy(logits.float()))


def test_counts_fall_into_equal_bins_and_none_is_lost() -> None:
    top = math.log(4)
    entropies = torch.tensor([[0.0, 0.24 * top, 0.26 * top], [0.5 * top, 0.9 * top, top]])
    counts = entropy_counts(entropies, classes=4, bins=4)
    assert counts.tolist() == [2, 1, 1, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: entropy(torch.zeros(3, 2, 2)), r"expected logits \(N, K, H, W\)"),
        (lambda: entropy(torch.zeros(1, 3, 2, 2), temperature=0), "expected temperature > 0"),
        (lambda: entropy_counts(torch.zeros(2), classes=1), "expected classes >= 2"),
        (lambda: entropy_counts(torch.zeros(2), classes=3, bins=0), "bins >= 1"),
        (lambda: entropy_counts(torch.tensor([2.0]), classes=3), "expected entropies from 0 to"),
        (lambda: entropy_counts(torch.tensor([math.nan]), classes=3), "give them in nats"),
    ],
)
def test_refuses_what_it_cannot_count(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
