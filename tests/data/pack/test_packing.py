"""Packed copies: the same samples, opened in place of the original, refused when they differ."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segdistill.data import build_dataset
from segdistill.data.files.dataset import FileDataset
from segdistill.data.pack.manifest import MANIFEST, find_pack_faults, is_packed
from segdistill.data.pack.packing import pack
from segdistill.data.pack.raw import PackedDataset
from segdistill.data.pack.tiled import TiledDataset
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
    (packed / MANIFEST).write_text('{"a":' * 100_000)
    with pytest.raises(DataError, match=r"manifest .*, got lists and objects nested in more than"):
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


@pytest.fixture
def tiled(dataset: FileDataset, tmp_path: Path) -> Path:
    return pack({"train": dataset}, tmp_path / "tiled", options=OPTIONS, compress=True)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe((16, 16), (0.5, 2.0), flip=True),
        Recipe((16, 16), (0.5, 2.0), max_class_share=0.3),
        Recipe((16, 16), (0.5, 2.0), rare_class=0.7),
    ],
    ids=["plain", "max_class_share", "rare_class"],
)
def test_compressed_copies_give_the_batches_of_the_original(
    dataset: FileDataset, tiled: Path, recipe: Recipe
) -> None:
    copy = build_dataset({**OPTIONS, "root": str(tiled)}, split="train")
    assert isinstance(copy, TiledDataset)
    assert copy.classes == dataset.classes
    for one, other in ((copy[i], dataset[i]) for i in range(5)):
        assert one.name == other.name
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.mask, other.mask)
    for k in (0, 7):
        batches = [Stream(data, recipe, 4, 0).batch(k) for data in (copy, dataset)]
        assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


def test_compressed_copies_keep_sizes_and_missing_masks_and_can_be_sent(
    tree: Path, tmp_path: Path
) -> None:
    (tree / "data.csv").write_text("image,mask\ntrain/images/0.png,\nwide.png,wide_mask.png\n")
    wide = np.random.default_rng(0).integers(0, 256, (70, 300, 3), dtype=np.uint8)
    Image.fromarray(wide).save(tree / "wide.png")
    Image.fromarray(wide[..., 0] % 3).save(tree / "wide_mask.png")
    options = {"dataset": "list", "root": str(tree)}
    data = build_dataset(options, split="a")
    out = pack({"a": data}, tmp_path / "packed", options=options, compress=True)
    copy = TiledDataset(out, "a")
    assert copy[0].mask is None
    assert copy.read_mask(0) is None
    assert np.array_equal(copy[1].image, wide)
    assert np.array_equal(copy[1].mask, wide[..., 0] % 3)
    assert np.array_equal(pickle.loads(pickle.dumps(copy))[1].image, wide)
    assert len(pickle.dumps(copy)) < 5000
    assert len(list(Stream(copy, Recipe((8, 8)), 2, 0).loader(0, 3, workers=1))) == 3


def test_a_changed_compressed_copy_is_named_when_read_and_found_by_its_hash(tiled: Path) -> None:
    file = tiled / "train.tiles.bin"
    data = bytearray(file.read_bytes())
    data[5] ^= 255
    file.write_bytes(data)
    assert len(find_pack_faults(tiled)) == 1
    with pytest.raises(
        DataError, match=r"train\.tiles\.bin: expected the packed content of 0, got"
    ):
        TiledDataset(tiled, "train")[0]
    file.write_bytes(data[:-1])
    with pytest.raises(DataError, match=r"train\.tiles\.bin: expected \d+ bytes, got"):
        TiledDataset(tiled, "train")


@pytest.mark.parametrize(
    ("packed_with", "asked_for"), [({"masks": "masks2"}, {}), ({}, {"masks": "masks2"})]
)
def test_refuses_a_copy_made_with_other_defaults(
    tree: Path, tmp_path: Path, packed_with: dict[str, str], asked_for: dict[str, str]
) -> None:
    shutil.copytree(tree / "train/masks", tree / "train/masks2")
    options = {"dataset": "folder", "root": str(tree), **packed_with}
    out = pack({"train": build_dataset(options, split="train")}, tmp_path / "p", options=options)
    assert len(build_dataset({**options, "root": str(out)}, split="train")) == 5
    with pytest.raises(DataError, match=r"packed copy with masks=\w+, got one with masks=\w+"):
        build_dataset({"dataset": "folder", "root": str(out), **asked_for}, split="train")


@pytest.mark.parametrize("part", ["index.npy", "names.txt"])
def test_a_changed_index_is_found_when_the_copy_is_opened(part: str, packed: Path) -> None:
    file = packed / f"train.{part}"
    file.write_bytes(file.read_bytes()[:-1] + b"7")
    with pytest.raises(DataError, match=f"train.{part}: expected the packed content"):
        PackedDataset(packed, "train")


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"\x93NUMPY\x01\x00(", "expected an array, got"),
        (np.zeros((5, 3), np.int64), r"expected integers, Nx4, got int64 of \(5, 3\)"),
        (np.zeros((5, 4)), "expected integers, Nx4, got float64"),
        (np.full((5, 4), -2), "expected no number below 0, got -2"),
        (np.zeros((4, 4), np.int64), "names.txt: expected 4 names, got 5"),
        (np.full((5, 4), 10**6), "index.npy: expected the position of"),
    ],
    ids=range(6),
)
def test_an_index_that_says_nonsense_is_named(
    index: np.ndarray | bytes, message: str, packed: Path
) -> None:
    file = packed / "train.index.npy"
    if isinstance(index, bytes):
        file.write_bytes(index)
    else:
        np.save(file, index)
    manifest = json.loads((packed / MANIFEST).read_text())
    manifest["splits"]["train"]["files"][file.name] = {
        "bytes": file.stat().st_size,
        "blake2b": hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest(),
    }
    (packed / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=message):
        PackedDataset(packed, "train")[0]


@pytest.mark.parametrize("colors", [[], [[0, 0, 0]] * 9, [[0, 0, 256]] * 3, [[-1, 0, 0]] * 3])
def test_a_manifest_with_other_colours_than_classes_is_refused(
    colors: list[list[int]], packed: Path
) -> None:
    manifest = json.loads((packed / MANIFEST).read_text())
    manifest["classes"]["colors"] = colors
    (packed / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"manifest, got classes\.colors.*pack it again"):
        PackedDataset(packed, "train")
