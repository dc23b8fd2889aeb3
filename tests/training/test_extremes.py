"""Worst and best images: found in one pass, by the mIoU that the report has of them."""

import numpy as np
import pytest

from segdistill.image_scores import image_miou
from segdistill.training.extremes import Extremes
from segdistill.types import Sample


def sample(name: str, mask: np.ndarray | None) -> Sample:
    return Sample(np.zeros((4, 5, 3), dtype=np.uint8), mask, name)


def test_the_worst_and_the_best_are_those_of_the_image_scores() -> None:
    random = np.random.default_rng(0)
    masks = random.integers(3, size=(9, 4, 5)).astype(np.uint8)
    masks[:, 0, :2] = 255
    predictions = np.where(random.random(masks.shape) < 0.5, masks % 3, 0).astype(np.uint8)
    scores = []
    extremes, first, second = Extremes(2, 3), Extremes(2, 3), Extremes(2, 3)
    for place, (mask, prediction) in enumerate(zip(masks, predictions, strict=True)):
        for seen in (extremes, first if place < 4 else second):
            seen.see(sample(str(place), mask), prediction)
        counts = np.zeros((1, 3, 3), dtype=np.int64)
        for truth, guess in zip(mask.flat, prediction.flat, strict=True):
            if truth != 255:
                counts[0, truth, guess] += 1
        scores.append(float(image_miou(counts)[0]))
    order = sorted(range(9), key=lambda place: scores[place])
    kept = [int(one.name) for one, _ in extremes.kept]
    assert kept == [order[0], order[1], order[-1], order[-2]]
    assert np.array_equal(extremes.kept[0][1], predictions[order[0]])
    first.add(second)
    assert [int(one.name) for one, _ in first.kept] == kept


@pytest.mark.parametrize("mask", [None, np.full((4, 5), 255, dtype=np.uint8)])
def test_an_image_without_a_label_is_neither(mask: np.ndarray | None) -> None:
    extremes = Extremes(2, 3)
    extremes.see(sample("a", mask), np.zeros((4, 5), dtype=np.uint8))
    assert extremes.kept == []


def test_none_are_kept_where_no_pictures_are_wanted() -> None:
    extremes = Extremes(0, 3)
    extremes.see(sample("a", np.zeros((4, 5), dtype=np.uint8)), np.zeros((4, 5), dtype=np.uint8))
    assert extremes.kept == []
