"""Packed copies: the same samples, opened in place of the original, refused when they differ."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segdistill.data import build_dataset
from segdistill.data.files import FileDataset
from segdistill.data.packing import MANIFEST, PackedDataset, find_pack_faults, is_packed, pack
from segdistill.data.stream import Stream
from segdistill.data.transforms import Recipe
from segdistill.errors import DataError

OPTIONS = {"dataset": "folder"}


@pytest.fixture
def packed(dataset: FileDataset, tmp_path: Path) -> Path:
    return pack({"train": dataset}, tmp_path / "packed", options={**OPTIONS, "root": "/here"})


def test_holds_the_same_samples_as_views_of_the_file(dataset: FileDataset, packed: Path) -> None:
    copy = PackedDataset(packed, "train")
    assert len(copy) == len(dataset)
    assert copy.classes == dataset.classes
    for one, other in zip(
        map(copy.__getitem__, range(5)), map(dataset.__getitem__, range(5)), strict=True
    ):
        assert one.name == other.name
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.mask, other.mask)
        assert not one.image.flags.owndata


def test_images_of_many_sizes_and_without_masks_are_kept(tree: Path, tmp_path: Path) -> None:
    (tree / "data.csv").write_text(
        "image,mask,split\n"
        "train/images/0.png,,a\ntrain/images/1.png,train/masks/1.png,a\nwide.png,,a\nwide.png,,b\n"
    )
    Image.new("RGB", (70, 3), (1, 2, 3)).save(tree / "wide.png")
    options = {"dataset": "list", "root": str(tree)}
    splits = {split: build_dataset(options, split=split) for split in ("a", "b")}
    out = pack(splits, tmp_path / "packed", options=options)
    copy = PackedDataset(out, "a")
    assert [copy[i].mask is None for i in range(3)] == [True, False, True]
    assert copy[2].image.shape == (3, 70, 3)
    assert np.array_equal(copy[1].mask, splits["a"][1].mask)
    assert PackedDataset(out, "b")[0].image[0, 0].tolist() == [1, 2, 3]


def test_is_opened_in_place_of_the_original(dataset: FileDataset, packed: Path) -> None:
    copy = build_dataset({**OPTIONS, "root": str(packed)}, split="train")
    assert isinstance(copy, PackedDataset)
    recipe = Recipe((16, 16), (0.5, 2.0), flip=True)
    for k in (0, 7):
        one, other = (Stream(data, recipe, 4, 0).batch(k) for data in (copy, dataset))
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("workers", [1, 2])
def test_worker_processes_read_it_and_it_can_be_pickled(packed: Path, workers: int) -> None:
    copy = PackedDataset(packed, "train")
    first = copy[0]
    assert np.array_equal(pickle.loads(pickle.dumps(copy))[0].image, first.image)
    assert len(pickle.dumps(copy)) < 5000
    assert len(list(Stream(copy, Recipe((8, 8)), 2, 0).loader(0, 4, workers=workers))) == 4


def test_refuses_a_copy_of_another_dataset_option_or_split(packed: Path) -> None:
    with pytest.raises(DataError, match="with dataset=camvid, got one with dataset=folder"):
        build_dataset({"dataset": "camvid", "root": packed}, split="train")
    with pytest.raises(DataError, match="expected a packed split val, got train"):
        build_dataset({"dataset": "folder", "root": packed}, split="val")


def test_refuses_a_copy_whose_file_is_cut_off_and_finds_changed_bytes(packed: Path) -> None:
    assert find_pack_faults(packed) == []
    images = packed / "train.images.bin"
    data = bytearray(images.read_bytes())
    data[100] ^= 1
    images.write_bytes(data)
    assert len(find_pack_faults(packed)) == 1
    assert "train.images.bin: expected the packed content" in find_pack_faults(packed)[0]
    images.write_bytes(data[:-1])
    with pytest.raises(DataError, match=r"train\.images\.bin: expected 9000 bytes, got 8999"):
        PackedDataset(packed, "train")


def test_refuses_a_manifest_of_another_format(packed: Path) -> None:
    manifest = json.loads((packed / MANIFEST).read_text())
    (packed / MANIFEST).write_text(json.dumps({**manifest, "format": 9}))
    with pytest.raises(DataError, match="expected format 1, got 9"):
        PackedDataset(packed, "train")


def test_leaves_nothing_behind_when_an_image_is_broken(tree: Path, tmp_path: Path) -> None:
    (tree / "train/images/3.png").write_bytes(b"broken")
    data = build_dataset({"dataset": "folder", "root": str(tree)}, split="train")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"3\.png"):
        pack({"train": data}, tmp_path / "packed", options=OPTIONS)
    assert sorted(tmp_path.iterdir()) == before
    assert not is_packed(tmp_path)


def test_refuses_to_overwrite_and_reports_progress(dataset: FileDataset, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    out = pack(
        {"train": dataset},
        tmp_path / "x",
        options=OPTIONS,
        progress=lambda split, done, count: seen.append((split, done, count)),
    )
    assert seen[-1] == ("train", 5, 5)
    with pytest.raises(DataError, match="expected a new folder"):
        pack({"train": dataset}, out, options=OPTIONS)
