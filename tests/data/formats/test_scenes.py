"""Drawn scenes: a function of seed, split and index, with the statistics of a street."""

import numpy as np
import pytest

from segdistill.data.formats.scenes import scenes
from segdistill.data.scenes.canvas import CLASSES
from segdistill.data.scenes.drawing import _majority
from segdistill.errors import DataError

SMALL = {"size": (48, 64), "train_images": 40, "val_images": 4}


def test_a_scene_is_a_function_of_seed_split_and_index() -> None:
    first = scenes(split="train", **SMALL)[7]
    again = scenes(split="train", size=(48, 64), train_images=8)[7]
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    for other in (
        scenes(split="train", **SMALL)[6],
        scenes(split="val", size=(48, 64))[7],
        scenes(split="train", scene_seed=1, **SMALL)[7],
    ):
        assert not np.array_equal(first.image, other.image)
    assert first.name == "train_0007"


def test_drawing_leaves_numpys_random_state_alone_and_is_done_once() -> None:
    state = np.random.get_state()[1].copy()
    data = scenes(split="val", **SMALL)
    assert data[0] is data[0]
    assert np.array_equal(np.random.get_state()[1], state)


def test_a_process_keeps_no_more_scenes_than_fit_in_its_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("segdistill.data.formats.scenes._KEPT_BYTES", 3 * 4 * 32 * 48)
    data = scenes(split="val", size=(32, 48), val_images=6)
    first = [data[i] for i in range(6)]
    assert len(data._drawn) == 3
    assert data[2] is first[2]
    assert data[5] is not first[5]
    assert np.array_equal(data[5].image, first[5].image)


def test_has_the_default_counts_sizes_and_types() -> None:
    train, val = scenes(split="train"), scenes(split="val")
    assert (len(train), len(val)) == (300, 100)
    image, mask, _ = val[0]
    assert (image.shape, image.dtype) == ((128, 160, 3), np.uint8)
    assert mask is not None
    assert (mask.shape, mask.dtype) == ((128, 160), np.uint8)


def test_every_class_occurs_and_large_ones_fill_most_like_in_a_street() -> None:
    data = scenes(split="train", **SMALL)
    counts = sum(np.bincount(data[i].mask.ravel(), minlength=11) for i in range(len(data)))
    share = dict(zip(CLASSES.names, counts / counts.sum(), strict=True))
    assert counts.shape == (11,)
    assert min(share.values()) > 0.001
    assert share["road"] + share["sky"] + share["building"] + share["vegetation"] > 0.75
    for small in ("pole", "sign", "person", "cyclist", "fence"):
        assert share[small] < 0.03


def test_scenes_differ_in_light_and_are_not_clipped() -> None:
    data = scenes(split="train", **SMALL)
    means = np.array([data[i].image.mean() for i in range(len(data))])
    assert means.std() > 12
    assert np.mean([np.mean(data[i].image == 255) for i in range(len(data))]) < 0.15


def test_colour_alone_does_not_tell_the_class() -> None:
    """The best class for each colour of a 16³ cube, learnt on half, errs on a third."""
    data = scenes(split="train", **SMALL)
    cells = np.concatenate([_cells(data[i].image) for i in range(40)])
    labels = np.concatenate([data[i].mask.ravel() for i in range(40)])
    half = len(cells) // 2
    table = np.zeros((4096, 11))
    np.add.at(table, (cells[:half], labels[:half]), 1)
    right = table.argmax(1)[cells[half:]] == labels[half:]
    assert 0.35 < right.mean() < 0.75


def _cells(image: np.ndarray) -> np.ndarray:
    wide = image.reshape(-1, 3).astype(int) // 16
    return wide @ np.array([256, 16, 1])


def test_the_label_of_a_pixel_is_what_most_of_its_samples_have() -> None:
    blocks = {(1, 1, 2, 3): 1, (2, 1, 1, 3): 1, (3, 2, 1, 1): 1, (2, 1, 3, 1): 1, (5, 5, 5, 1): 5}
    blocks |= {(4, 1, 2, 2): 2, (6, 2, 2, 2): 2, (1, 2, 3, 4): 1, (3, 2, 2, 1): 2}
    for samples, expected in blocks.items():
        assert _majority(np.array(samples).reshape(2, 2)).item() == expected


@pytest.mark.parametrize("size", [(32, 32), (33, 70), (96, 128)])
def test_draws_any_size(size: tuple[int, int]) -> None:
    image, mask, _ = scenes(split="val", size=size)[0]
    assert image.shape == (*size, 3)
    assert mask is not None
    assert mask.shape == size


def test_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(DataError, match="scenes: expected split train or val, got 'test'"):
        scenes(split="test")
    with pytest.raises(ValueError, match="at least 32×32 px"):
        scenes(split="val", size=(16, 64))
    with pytest.raises(ValueError, match="at least one image in val, got 0"):
        scenes(split="val", val_images=0)
    with pytest.raises(IndexError, match="below 100, got 100"):
        scenes(split="val")[100]
