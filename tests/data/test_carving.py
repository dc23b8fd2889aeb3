"""Training images held out: every image in one part, blocks and not single frames."""

import pytest

from segdistill.data import build_dataset
from segdistill.data.carving import carve
from segdistill.errors import DataError
from segdistill.types import SegDataset


def scenes(count: int) -> SegDataset:
    return build_dataset(
        {"dataset": "scenes", "train_images": count, "size": (32, 32)}, split="train"
    )


@pytest.mark.parametrize(("count", "share"), [(100, 0.2), (367, 0.25), (7, 0.3), (2, 0.5)])
def test_every_image_is_in_one_part(count: int, share: float) -> None:
    dataset = scenes(count)
    kept, held = carve(dataset, share, "kept"), carve(dataset, share, "held")
    assert sorted((*kept.indices, *held.indices)) == list(range(count))
    assert len(held) == pytest.approx(share * count, abs=max(1, count / 20))
    assert held.classes == dataset.classes


def test_whole_blocks_are_held_out_from_all_over_the_dataset() -> None:
    held = carve(scenes(100), 0.2, "held").indices
    assert held == (10, 11, 12, 13, 14, 35, 36, 37, 38, 39, 60, 61, 62, 63, 64, 85, 86, 87, 88, 89)


def test_gives_the_samples_of_the_dataset() -> None:
    dataset = scenes(4)
    held = carve(dataset, 0.25, "held")
    assert [sample.name for sample in held] == [dataset[i].name for i in held.indices]


@pytest.mark.parametrize(("count", "share"), [(100, 0.001), (100, 0.999), (1, 0.5)])
def test_refuses_a_share_that_leaves_a_part_empty(count: int, share: float) -> None:
    with pytest.raises(DataError, match=r"data\.holdout: .*both parts"):
        carve(scenes(count), share, "kept")
