"""Augmentation: the scale drawn is realised, image and labels stay aligned, padding is marked."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.data.transforms import (
    PAD_COLOR,
    Recipe,
    Region,
    augment,
    draw_region,
    needs_mask,
    resize_labels,
    resize_region,
)
from segdistill.seeding import draws
from segdistill.types import Sample


def sample(height: int, width: int, seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Sample(image, rng.integers(0, 5, (height, width), dtype=np.uint8), "a")


def ramp(height: int, width: int) -> Sample:
    """Red is the column, green the row; the mask is the column's half."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8)
    return Sample(image, (columns // 2).astype(np.uint8), "ramp")


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.3, 2.0])
def test_the_scale_drawn_is_the_scale_realised_on_an_image_that_is_not_square(scale: float) -> None:
    recipe = Recipe(crop=(96, 160), scale=(scale, scale))
    region = draw_region((200, 400), None, recipe, random.Random(0))
    for source, out in ((region.height, region.out_height), (region.width, region.out_width)):
        assert abs(source * scale - out) <= 0.5 * scale + 0.5
    rows, columns = region.out_height / region.height, region.out_width / region.width
    assert rows == pytest.approx(scale, rel=0.02)
    assert columns == pytest.approx(scale, rel=0.02)


def test_scales_cover_their_range_evenly() -> None:
    recipe = Recipe(crop=(64, 64), scale=(0.5, 2.0))
    regions = [draw_region((200, 400), None, recipe, draws(0, "x", i)) for i in range(400)]
    scales = np.array([region.out_width / region.width for region in regions])
    assert scales.min() < 0.55
    assert scales.max() > 1.9
    assert abs(np.mean(scales < 1.25) - 0.5) < 0.08


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(8, 90),
    width=st.integers(8, 90),
    crop=st.tuples(st.integers(4, 64), st.integers(4, 64)),
    scale=st.floats(0.3, 2.5),
    seed=st.integers(0, 99),
)
def test_any_size_crop_and_scale_gives_the_crop_with_its_padding_marked(
    height: int, width: int, crop: tuple[int, int], scale: float, seed: int
) -> None:
    recipe = Recipe(crop=crop, scale=(scale, scale), flip=True)
    image, labels, valid = augment(sample(height, width), recipe, seed, 3, 1)
    assert (image.dtype, labels.dtype, valid.dtype) == (torch.uint8, torch.int64, torch.bool)
    assert (image.shape, labels.shape, valid.shape) == ((3, *crop), crop, crop)
    rows = min(crop[0], max(1, round(height * scale)))
    columns = min(crop[1], max(1, round(width * scale)))
    expected = torch.zeros(crop, dtype=torch.bool)
    expected[:rows, :columns] = True
    assert torch.equal(valid, expected)
    assert (labels[~valid] == 255).all()
    assert (labels[valid] < 5).all()
    pad = torch.tensor(PAD_COLOR, dtype=torch.uint8)
    assert (image[:, ~valid] == pad[:, None]).all()


def test_without_scaling_a_crop_is_a_piece_of_the_image() -> None:
    data = sample(20, 30)
    region = Region(4, 7, 10, 12, 10, 12)
    assert np.array_equal(
        resize_region(data.image, region).permute(1, 2, 0), data.image[4:14, 7:19]
    )
    assert np.array_equal(resize_labels(data.mask, region), data.mask[4:14, 7:19])


@pytest.mark.parametrize("factor", [0.5, 2.0, 4.0])
def test_resizing_the_region_equals_resizing_all_and_cropping(factor: float) -> None:
    data = sample(40, 64)
    top, left, size = 4, 16, 32
    out = int(size * factor)
    region = resize_region(data.image, Region(top, left, size, size, out, out))
    planes = torch.from_numpy(data.image).permute(2, 0, 1)[None].float()
    whole = F.interpolate(planes, scale_factor=factor, mode="bilinear", antialias=True)[0]
    first, second = int(top * factor), int(left * factor)
    expected = whole[:, first : first + out, second : second + out]
    # At the border of the region the filter does not see the neighbours outside.
    inner = (slice(None), slice(4, -4), slice(4, -4))
    assert region[inner].numel() > 0
    assert_close(region.float()[inner], expected[inner], atol=1.01, rtol=0)


@pytest.mark.parametrize("out", [11, 16, 30, 47])
def test_image_and_labels_are_aligned_to_the_sub_pixel(out: int) -> None:
    data = ramp(60, 100)
    region = Region(top=10, left=20, height=24, width=24, out_height=out, out_width=out)
    image, labels = resize_region(data.image, region), resize_labels(data.mask, region)
    centers = 20 + (torch.arange(out) + 0.5) * 24 / out - 0.5
    red = image[0, out // 2].float()
    assert_close(red[2:-2], centers[2:-2], atol=0.76, rtol=0)
    nearest = torch.floor(centers + 0.5)
    assert torch.equal(labels[0].float(), torch.div(nearest, 2, rounding_mode="floor"))
    assert_close(image[1, 2:-2, 0].float(), (centers - 10)[2:-2], atol=0.76, rtol=0)


def test_labels_are_resized_like_torchs_nearest_exact() -> None:
    mask = np.random.default_rng(0).integers(0, 9, (17, 23), dtype=np.uint8)
    planes = torch.from_numpy(mask)[None, None].float()
    for size in ((17, 23), (34, 46), (31, 12), (5, 60)):
        ours = resize_labels(mask, Region(0, 0, 17, 23, *size))
        assert_close(ours.float(), F.interpolate(planes, size, mode="nearest-exact")[0, 0])


def test_a_flip_mirrors_image_and_labels_together() -> None:
    data = ramp(16, 24)
    plain = augment(data, Recipe(crop=(16, 24)), 0, 0, 0)
    mirrored = augment(data, Recipe(crop=(16, 24), flip=1.0), 0, 0, 0)
    assert torch.equal(mirrored[0], plain[0].flip(-1))
    assert torch.equal(mirrored[1], plain[1].flip(-1))
    flips = [
        torch.equal(augment(data, Recipe((16, 24), flip=True), 0, i, 0)[0], mirrored[0])
        for i in range(200)
    ]
    assert 70 < sum(flips) < 130


def test_depends_on_seed_step_and_position_alone() -> None:
    data = sample(40, 60)
    recipe = Recipe((20, 20), (0.5, 2.0), flip=True, brightness=0.4, hue=0.1, blur=0.5)
    state = torch.random.get_rng_state()
    first = augment(data, recipe, 1, 2, 3)
    random.random()
    assert all(
        torch.equal(a, b) for a, b in zip(first, augment(data, recipe, 1, 2, 3), strict=True)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert not torch.equal(first[0], augment(data, recipe, *other)[0])


def test_colour_changes_leave_labels_and_geometry_alone() -> None:
    data = sample(40, 60)
    plain = Recipe((20, 20), (0.5, 2.0))
    loud = Recipe((20, 20), (0.5, 2.0), brightness=0.5, contrast=0.5, saturation=0.5, hue=0.2)
    blurred = Recipe((20, 20), (0.5, 2.0), blur=1.0)
    for recipe in (loud, blurred):
        changed, labels, _ = augment(data, recipe, 0, 1, 0)
        image, expected, _ = augment(data, plain, 0, 1, 0)
        assert torch.equal(labels, expected)
        assert not torch.equal(changed, image)
        assert changed.dtype == torch.uint8


def test_crops_filled_by_one_class_are_drawn_again() -> None:
    mask = np.zeros((64, 256), dtype=np.uint8)
    mask[:, 224:] = 1
    data = Sample(np.zeros((64, 256, 3), np.uint8), mask, "a")

    def mixed(share: float) -> int:
        recipe = Recipe((32, 32), max_class_share=share)
        drawn = [augment(data, recipe, 0, i, 0)[1] for i in range(100)]
        return sum(0 < int((labels == 1).sum()) < 1024 for labels in drawn)

    assert mixed(1.0) < 25
    assert mixed(0.9) > 50


def test_a_sample_without_mask_has_no_labels() -> None:
    data = sample(20, 20)._replace(mask=None)
    recipe = Recipe((10, 30), (0.5, 1.0), max_class_share=0.75)
    _, labels, valid = augment(data, recipe, 0, 0, 0)
    assert (labels == 255).all()
    assert valid.any()


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.floats(0.3, 2.5), st.integers(0, 99))
def test_the_rows_below_the_crop_are_not_needed(
    height: int, width: int, scale: float, step: int
) -> None:
    data, recipe = sample(height, width), Recipe((16, 24), (scale, scale), flip=True, hue=0.2)
    region = draw_region((height, width), None, recipe, draws(0, "augment", step, 5))
    rows = region.top + region.height
    top = Sample(data.image[:rows], data.mask[:rows], "top")  # type: ignore[index]
    one = augment(data, recipe, 0, step, 5)
    other = augment(top, recipe, 0, step, 5, size=(height, width))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not needs_mask(recipe, None)
    assert needs_mask(recipe, 3)
    assert needs_mask(Recipe((16, 24), max_class_share=0.75), None)


def test_reads_arrays_that_cannot_be_written() -> None:
    data = sample(20, 20)
    data.image.setflags(write=False)
    assert data.mask is not None
    data.mask.setflags(write=False)
    image, labels, _ = augment(data, Recipe((20, 20)), 0, 0, 0)
    image += 1
    labels += 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": (0, 4)}, r"crop \(height, width\) above 0, got \(0, 4\)"),
        ({"scale": (0.0, 1.0)}, "scale 0 < low <= high"),
        ({"scale": (2.0, 1.0)}, "scale 0 < low <= high"),
        ({"flip": 1.5}, "flip from 0 to 1, got 1.5"),
        ({"brightness": -0.1}, "brightness from 0 to 1"),
        ({"hue": 0.6}, "hue from 0 to 0.5"),
        ({"max_class_share": 0.0}, "max_class_share above 0"),
    ],
)
def test_refuses_a_recipe_that_cannot_be_drawn(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"Recipe: expected {message}"):
        Recipe(**{"crop": (4, 4), **change})
