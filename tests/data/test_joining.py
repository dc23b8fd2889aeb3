"""Splits that are joined: every image of each once, read and named as in its own split."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.api.pack import pack
from segdistill.config.loading import load_configs
from segdistill.config.splits import shared_splits, split_names
from segdistill.data import build_dataset
from segdistill.data.carving import Subset
from segdistill.data.inspection import inspect_data
from segdistill.data.joining import Joined
from segdistill.data.parts import file_names, files_of, name_of, read_mask_of, read_part
from segdistill.data.transforms import Region
from segdistill.errors import ConfigError, DataError

SCENES = {"dataset": "scenes", "size": (32, 48), "train_images": 3, "val_images": 2}


@pytest.fixture
def two(tree: Path, write: type) -> dict[str, object]:
    """A folder dataset whose splits repeat a name."""
    rng = np.random.default_rng(1)
    for index in range(2):
        write(tree / f"val/images/{index}.png", rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
        write(tree / f"val/masks/{index}.png", rng.integers(0, 3, (20, 30), dtype=np.uint8))
    return {"dataset": "folder", "root": str(tree)}


def test_files_of_both_are_read_and_named(two: dict[str, object]) -> None:
    train, val = build_dataset(two, split="train"), build_dataset(two, split="val")
    joined = build_dataset(two, split="train+val")
    assert len(joined) == len(train) + len(val) == 7
    assert np.array_equal(joined[5].image, val[0].image)
    expected = [*(f"train/{index}" for index in range(5)), "val/0", "val/1"]
    assert [joined[index].name for index in range(7)] == expected == file_names(joined)
    assert joined.classes == train.classes
    with pytest.raises(IndexError, match="below 7, got 7"):
        joined[7]


def test_parts_are_read_through_a_subset(two: dict[str, object]) -> None:
    few = Subset(build_dataset(two, split="train+val"), [6, 0])
    val = build_dataset(two, split="val")
    sample, size = read_part(few, 0, lambda size, _: Region(0, 0, 4, 4, 4, 4), look=False)
    assert size == (20, 30)
    assert np.array_equal(sample.image[:4, :4], val[1].image[:4, :4])
    mask = read_mask_of(few, 0)
    assert mask is not None
    assert np.array_equal(mask, val[1].mask)
    assert name_of(few, 0) == "val/1"
    assert [file.name for file in files_of(few, 0)] == ["1.png", "1.png"]


def test_drawn_splits_are_joined_too() -> None:
    joined = build_dataset(SCENES, split="val+train")
    assert [joined[index].name for index in (0, 2)] == ["val/val_0000", "train/train_0000"]
    assert file_names(joined) is None


def test_splits_of_other_classes_are_not_joined(two: dict[str, object]) -> None:
    parts = {"a": build_dataset(two, split="train"), "b": build_dataset(SCENES, split="val")}
    with pytest.raises(DataError, match=r"the same classes .* got 3 in a and 11 in b"):
        Joined(parts)


def test_splits_that_share_images_are_not_joined(tree: Path) -> None:
    (tree / "all.csv").write_text("image,mask\ntrain/images/0.png,train/masks/0.png\n")
    options = {"dataset": "list", "root": str(tree), "file": "all.csv"}
    with pytest.raises(DataError, match=r"got 1 in train and val, .*0\.png; name only the larger"):
        build_dataset(options, split="train+val")


def test_packed_splits_are_joined_and_not_packed_as_one(
    two: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    words, out = [f"root={two['root']}"], tmp_path_factory.mktemp("packs")
    root = pack("folder", out / "packed", settings=words)
    packed = build_dataset({"dataset": "folder", "root": str(root)}, split="val+train")
    assert [packed[index].name for index in (0, 2)] == ["val/0", "train/0"]
    with pytest.raises(ConfigError, match=r"pack: expected single splits, got train\+val"):
        pack("folder", out / "other", splits=["train+val"], settings=words)


def test_a_missing_part_is_named(two: dict[str, object]) -> None:
    with pytest.raises(DataError, match="expected a split trial"):
        build_dataset(two, split="train+trial")


@pytest.mark.parametrize("split", ["train+", "+", "", "train+train"])
def test_empty_and_repeated_names_are_refused(split: str) -> None:
    with pytest.raises(
        ConfigError, match=r"expected a split, or distinct ones joined as train\+val"
    ):
        split_names(split)
    with pytest.raises(ConfigError, match=r"data\.train_split.*distinct ones"):
        load_configs("scenes/teacher", [f"data.train_split='{split}'"])


def test_what_is_joined_is_told_from_what_leaks(two: dict[str, object]) -> None:
    report = inspect_data(two, ["train+val", "val"])
    assert report.leaks == []
    assert any("val: val is also trained on" in line for line in report.warnings)
    assert shared_splits("train+val", "val") == ["val"]
    assert shared_splits("train", "val") == []


def test_the_joined_splits_belong_to_the_identity_of_a_run() -> None:
    from segdistill.config.identity import identity_of

    one, other = (
        identity_of(load_configs("scenes/teacher", words)[""])
        for words in ([], ["data.train_split=train+val"])
    )
    assert one["data.train_split"] == "train"
    assert other["data.train_split"] == "train+val"
