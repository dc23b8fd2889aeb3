"""Calibration error: plain loops over pixels, and what a network that is never wrong has."""

import math

import pytest
import torch

from segdistill.scoring.calibration import BINS, Calibration
from segdistill.upsampling import argmax_at


def test_equals_a_loop_over_pixels() -> None:
    random = torch.Generator().manual_seed(0)
    sure = torch.rand(2, 9, 11, generator=random)
    prediction = torch.randint(0, 3, sure.shape, generator=random).to(torch.uint8)
    labels = torch.randint(0, 3, sure.shape, generator=random).to(torch.uint8)
    labels[0, :2] = 255
    bins: dict[int, list[tuple[float, bool]]] = {}
    for c, p, y in zip(sure.flatten(), prediction.flatten(), labels.flatten(), strict=True):
        if y != 255:
            bins.setdefault(math.ceil(float(c.double()) * BINS), []).append(
                (float(c), bool(p == y))
            )
    count = sum(map(len, bins.values()))
    expected = sum(
        len(own)
        / count
        * abs(sum(right for _, right in own) / len(own) - sum(c for c, _ in own) / len(own))
        for own in bins.values()
    )
    found = Calibration()
    found.update(sure[:1], prediction[:1], labels[:1])
    found.update(sure[1:], prediction[1:], labels[1:])
    assert found.error() == pytest.approx(expected, rel=1e-12)


def test_is_zero_where_a_network_is_as_right_as_it_is_sure() -> None:
    found = Calibration()
    sure = torch.full((1, 1, 4), 0.75)
    found.update(sure, torch.tensor([[[0, 0, 0, 1]]]), torch.zeros(1, 1, 4, dtype=torch.int64))
    assert found.error() == pytest.approx(0, abs=1e-9)


def test_confidences_are_the_largest_softmax_of_the_resized_logits() -> None:
    logits = 4 * torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(1))
    sure = torch.empty(2, 23, 40)
    ids = argmax_at(logits, (23, 40), confidences=sure)
    resized = torch.nn.functional.interpolate(logits, (23, 40), mode="bilinear")
    expected = resized.softmax(dim=1).max(dim=1)
    torch.testing.assert_close(sure, expected.values)
    assert torch.equal(ids.long(), argmax_at(logits, (23, 40)).long())
