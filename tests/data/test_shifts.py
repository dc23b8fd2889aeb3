"""Shifts: each corruption against plain loops or a library; the same again whenever asked."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image

from segdistill.catalogue.shifts import SHIFTS
from segdistill.data.shifts import Shifted, shift
from segdistill.types import Classes, Sample


def picture(height: int = 12, width: int = 14, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def test_noise_has_the_deviation_that_it_says_and_is_the_same_again() -> None:
    grey = np.full((100, 100, 3), 128, dtype=np.uint8)
    found = shift(grey, "noise", 1, index=3)
    assert (found.astype(float) - 128).std() == pytest.approx(255 * 0.08, rel=0.03)
    assert np.array_equal(found, shift(grey, "noise", 1, index=3))
    assert not np.array_equal(found, shift(grey, "noise", 1, index=4))


def test_blur_is_a_sum_of_weighted_neighbours() -> None:
    image, sigma, radius = picture(), 1.0, 4
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    height, width = image.shape[:2]
    expected = np.zeros(image.shape)
    for i in range(height):
        for j in range(width):
            for di in range(-radius, radius + 1):
                for dj in range(-radius, radius + 1):
                    row, column = min(max(i + di, 0), height - 1), min(max(j + dj, 0), width - 1)
                    weight = weights[di + radius] * weights[dj + radius]
                    expected[i, j] += weight * image[row, column]
    found = shift(image, "blur", 1)
    assert np.abs(found - expected).max() <= 0.5 + 1e-9


def test_contrast_keeps_the_mean_and_its_share_of_the_spread() -> None:
    image = picture()
    found = shift(image, "contrast", 3).astype(float)
    assert found.mean(axis=(0, 1)) == pytest.approx(image.mean(axis=(0, 1)), abs=0.5)
    assert found.std() == pytest.approx(0.2 * image.std(), rel=0.15)


def test_brightness_raises_the_value_and_keeps_hue_and_saturation() -> None:
    image = picture()
    image[0, 0] = 0
    found = shift(image, "brightness", 2)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            hue, saturation, value = colorsys.rgb_to_hsv(*(image[row, column] / 255))
            expected = colorsys.hsv_to_rgb(hue, saturation, min(1.0, value + 0.2))
            assert np.abs(found[row, column] - 255 * np.array(expected)).max() <= 0.5 + 1e-9


def test_jpeg_is_what_pillow_writes_at_that_quality() -> None:
    image = picture()
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="JPEG", quality=15)
    assert np.array_equal(shift(image, "jpeg", 3), np.asarray(Image.open(file)))


@pytest.mark.parametrize("name", SHIFTS)
def test_a_larger_severity_changes_an_image_more(name: str) -> None:
    smooth = np.linspace(20, 180, 40)[:, None, None] + np.linspace(0, 50, 40)[None, :, None]
    image = np.repeat(smooth, 3, axis=2).astype(np.uint8)
    image[10:20, 10:20] = 250
    changes = [
        np.abs(shift(image, name, severity).astype(float) - image).mean()
        for severity in range(1, 6)
    ]
    assert changes == sorted(changes)
    assert changes[0] > 0


def test_wrong_words_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown corruption 'nose'; did you mean 'noise'"):
        shift(picture(), "nose", 1)
    with pytest.raises(ValueError, match="expected a severity from 1 to 5, got 6"):
        shift(picture(), "noise", 6)


class One:
    classes = Classes(("a",), ((0, 0, 0),))

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return Sample(picture(), np.zeros((12, 14), dtype=np.uint8), "one")


def test_a_shifted_dataset_changes_images_alone() -> None:
    found = Shifted(One(), "contrast", 5)
    assert len(found) == 1
    assert found.classes is One.classes
    assert np.array_equal(found[0].image, shift(picture(), "contrast", 5))
    assert found[0].name == "one"
    assert found[0].mask is not None
    assert not found[0].mask.any()
