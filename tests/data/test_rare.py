"""Rare-class sampling: the published probabilities, images and crops that have the class."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segdistill.data.carving import Subset
from segdistill.data.files.dataset import FileDataset
from segdistill.data.formats.folder import folder
from segdistill.data.rare import count_pixels, rare_classes
from segdistill.data.stream import Stream
from segdistill.data.transforms import Recipe
from segdistill.errors import DataError


@pytest.fixture
def street(tmp_path: Path) -> FileDataset:
    """10 images 40×60 of class 0; in image 3 class 2 fills one corner, in 7 one pixel is 1."""
    rng = np.random.default_rng(0)
    for index in range(10):
        mask = np.zeros((40, 60), dtype=np.uint8)
        if index == 3:
            mask[30:, 48:] = 2
        if index == 7:
            mask[0, 0] = 1
        for part, array in (
            ("images", rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)),
            ("masks", mask),
        ):
            (tmp_path / "train" / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / f"train/{part}/{index}.png")
    (tmp_path / "classes.txt").write_text("road\nlamp\nbus\nnever\n")
    return folder(split="train", root=tmp_path)


def test_probabilities_are_the_softmax_of_what_classes_are_not() -> None:
    pixels = np.array([[700, 200, 0, 0], [50, 40, 10, 0]])
    found = rare_classes(pixels, temperature=0.1, share=1.0).probabilities
    weights = [math.exp((1 - count / 1000) / 0.1) for count in (750, 240, 10)]
    assert found[:3] == pytest.approx([weight / sum(weights) for weight in weights])
    assert found[3] == 0.0


def test_a_small_temperature_does_not_overflow() -> None:
    found = rare_classes(np.array([[10**9, 1]]), temperature=1e-5, share=1.0)
    assert found.probabilities == (0.0, 1.0)


def test_images_where_the_class_is_large_enough_are_drawn_from(street: FileDataset) -> None:
    pixels = count_pixels(street)
    assert pixels.sum() == 10 * 40 * 60
    assert pixels[3].tolist() == [2280, 0, 120, 0]
    images = rare_classes(pixels, temperature=0.01, share=1.0).images
    assert images[2].tolist() == [3]
    assert images[1].tolist() == [7]
    assert images[0].tolist() == list(range(10))
    assert images[3].tolist() == []


def test_a_share_of_the_samples_is_drawn_for_rare_classes(street: FileDataset) -> None:
    rare = rare_classes(count_pixels(street), temperature=0.01, share=0.25)
    drawn = [rare.draw(0, step, position) for step in range(500) for position in range(4)]
    assert sum(found is not None for found in drawn) == pytest.approx(500, abs=80)
    by_class = Counter(found[1] for found in drawn if found is not None)
    assert by_class[1] + by_class[2] == sum(by_class.values())
    expected = math.exp(-(120 - 1) / 24000 / 0.01)  # of 24000 pixels, 120 and 1
    assert by_class[2] / by_class[1] == pytest.approx(expected, rel=0.2)
    assert drawn[:8] == [rare.draw(0, step, position) for step in (0, 1) for position in range(4)]
    assert rare.draw(1, 0, 0) != rare.draw(0, 0, 0) or rare.draw(1, 0, 1) != rare.draw(0, 0, 1)


def test_crops_show_the_class_that_they_were_drawn_for(street: FileDataset) -> None:
    crop = Recipe((16, 16), (0.8, 1.25), flip=True)
    often = Stream(street, Recipe((16, 16), (0.8, 1.25), flip=True, rare_class=1.0), 8, 0)
    never = Stream(street, crop, 8, 0)
    shares = [
        np.mean([bool((stream.batch(k).labels[i] == 2).any()) for k in range(12) for i in range(8)])
        for stream in (often, never)
    ]
    # 38 % of the draws want class 2, and ten tries find its corner two times in three.
    assert shares[0] > 0.15
    assert shares[1] < 0.05


def test_a_batch_is_a_function_of_its_number_also_in_workers_and_for_a_part(
    street: FileDataset,
) -> None:
    recipe = Recipe((16, 16), (0.5, 2.0), rare_class=0.5)
    part = Subset(street, range(1, 10))
    for data in (street, part):
        stream = Stream(data, recipe, 4, 0)
        alone = [stream.batch(k) for k in range(3)]
        again = list(Stream(data, recipe, 4, 0).loader(0, 3, workers=1))
        for one, other in zip(alone, again, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_unlabelled_images_are_not_drawn_by_masks(street: FileDataset) -> None:
    recipe = Recipe((16, 16), rare_class=1.0, max_class_share=0.5)
    stream = Stream(street, recipe, 4, 0, unlabelled=street, unlabelled_size=2)
    assert stream.unlabelled is not None
    assert (stream.unlabelled.recipe.rare_class, stream.unlabelled.recipe.max_class_share) == (0, 1)


def test_broken_masks_stop_the_count_or_are_skipped(street: FileDataset) -> None:
    (street.root / "train/masks/3.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"masks/3\.png"):
        Stream(street, Recipe((8, 8), rare_class=1.0), 2, 0)
    stream = Stream(street, Recipe((8, 8), rare_class=1.0), 2, 0, on_error="skip")
    assert stream.batch(0).images.shape == (2, 3, 8, 8)


def test_refuses_data_without_labels_and_values_out_of_range() -> None:
    with pytest.raises(DataError, match="rare_class: expected images with labels"):
        rare_classes(np.zeros((3, 2), dtype=np.int64), temperature=0.01, share=1.0)
    with pytest.raises(ValueError, match="rare_class from 0 to 1, got 2"):
        Recipe((8, 8), rare_class=2.0)
    with pytest.raises(ValueError, match="rare_temperature > 0"):
        Recipe((8, 8), rare_temperature=0.0)
