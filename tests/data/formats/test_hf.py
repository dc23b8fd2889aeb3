"""Folders of Hugging Face datasets: what is read is what the files hold, and faults name rows."""

import io
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("datasets")

import datasets
import torch
from datasets import Array2D, ClassLabel, Dataset, DatasetDict, Features, Image, List, Value
from PIL import Image as Pictures

from segdistill.data import build_dataset
from segdistill.data.formats.hf import ArrowDataset, hf
from segdistill.data.inspection import find_faults
from segdistill.data.pack.packing import pack
from segdistill.data.stream import Stream
from segdistill.data.transforms import Recipe
from segdistill.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
RGB = [RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8) for _ in range(3)]
IDS = [RNG.choice(np.array([0, 1, 2, 255], dtype=np.uint8), (6, 9)) for _ in range(3)]
FILES = Features({"image": Image(), "label": Image()})


@pytest.fixture(autouse=True)
def _quiet() -> None:
    datasets.disable_progress_bars()


def png(array: np.ndarray, mode: str | None = None, **options: object) -> dict[str, object]:
    encoded = io.BytesIO()
    picture = Pictures.fromarray(array, mode)
    if mode == "P":
        picture.putpalette([255 - i for i in range(256) for _ in range(3)])
    picture.save(encoded, format="PNG", **options)
    return {"bytes": encoded.getvalue(), "path": None}


def table(masks: list[object] | None = None, features: Features = FILES) -> Dataset:
    masks = [png(ids) for ids in IDS] if masks is None else masks
    return Dataset.from_dict(
        {"image": [png(rgb) for rgb in RGB[: len(masks)]], "label": masks}, features=features
    )


def save(data: Dataset | DatasetDict, root: Path, names: str = "ground\ntree\nsky\n") -> Path:
    data.save_to_disk(str(root))
    if names:
        (root / "classes.txt").write_text(names)
    return root


def test_splits_of_a_dataset_dict_are_read_exactly(tmp_path: Path) -> None:
    root = save(DatasetDict({"train": table(), "validation": table()}), tmp_path / "hf")
    for split in ("train", "validation", "val"):
        data = build_dataset({"dataset": "hf", "root": str(root)}, split=split)
        assert isinstance(data, ArrowDataset)
        assert data.classes.names == ("ground", "tree", "sky")
        assert [data[i].name for i in range(3)] == ["000000", "000001", "000002"]
        for i in range(3):
            assert np.array_equal(data[i].image, RGB[i])
            assert np.array_equal(data[i].mask, IDS[i])
    assert find_faults(data) == []


def test_palette_masks_keep_their_ids_and_colours_follow_the_class_file(tmp_path: Path) -> None:
    palette = save(table([png(ids, "P") for ids in IDS]), tmp_path / "palette")
    assert np.array_equal(hf(split="train", root=palette)[1].mask, IDS[1])
    colors = np.array([[9, 0, 0], [0, 9, 0], [0, 0, 9]], dtype=np.uint8)
    painted = [png(colors[ids % 3]) for ids in IDS]
    root = save(table(painted), tmp_path / "rgb", "a 9 0 0\nb 0 9 0\nc 0 0 9\n")
    assert np.array_equal(hf(split="train", root=root)[2].mask, IDS[2] % 3)
    plain = save(table(painted), tmp_path / "ids")
    with pytest.raises(DataError, match=r"train\[2\]/label: .*got RGB colours"):
        hf(split="train", root=plain)[2]


@pytest.mark.parametrize(
    "kind",
    [
        List(List(ClassLabel(names=["ground", "tree", "sky"]))),
        List(List(Value("uint8"))),
        Array2D((6, 9), "uint8"),
    ],
    ids=["class label", "lists", "array"],
)
def test_numbers_a_pixel_are_masks(tmp_path: Path, kind: object) -> None:
    named = "ClassLabel" in str(kind)
    masks = [np.where(ids == 255, -1 if named else 255, ids.astype(int)).tolist() for ids in IDS]
    features = Features({"image": Image(), "label": kind})
    root = save(table(masks, features), tmp_path / "hf", "" if named else "ground\ntree\nsky\n")
    data = hf(split="train", root=root)
    assert data.classes.names == ("ground", "tree", "sky")
    for i in range(3):
        assert np.array_equal(data[i].mask, IDS[i])


def test_reduced_labels_count_from_1_and_0_has_no_class(tmp_path: Path) -> None:
    root = save(table([png(np.arange(4, dtype=np.uint8).repeat(9)[:54].reshape(4, 9))]), tmp_path)
    with pytest.raises(DataError, match="expected a mask of its image's size 9×6, got 9×4"):
        hf(split="train", root=root, reduce_labels=True)[0]
    ids = np.array([0, 1, 2, 3, 255, 0, 0, 0, 0], dtype=np.uint8)[None].repeat(6, axis=0)
    other = save(table([png(ids)]), tmp_path / "fit")
    mask = hf(split="train", root=other, reduce_labels=True)[0].mask
    assert mask is not None
    assert mask[0].tolist() == [255, 0, 1, 2, 255, 255, 255, 255, 255]


def test_columns_can_be_named_and_a_split_may_have_no_masks(tmp_path: Path) -> None:
    renamed = table().rename_columns({"image": "photo", "label": "truth"})
    root = save(DatasetDict({"train": renamed, "test": renamed.remove_columns("truth")}), tmp_path)
    options = {"dataset": "hf", "root": str(root), "image_column": "photo"}
    with pytest.raises(DataError, match="expected a column image of images, got images in photo"):
        hf(split="train", root=root)
    with pytest.raises(DataError, match=r"expected a column label of masks.*set data\.label_col"):
        build_dataset(options, split="train")
    named = {**options, "label_column": "truth"}
    assert np.array_equal(build_dataset(named, split="train")[0].mask, IDS[0])
    assert build_dataset(named, split="test")[0].mask is None


def test_an_image_is_turned_by_its_exif_note(tmp_path: Path) -> None:
    note = Pictures.Exif()
    note[0x0112] = 6
    data = table([png(np.rot90(IDS[0], k=-1))])
    turned = Dataset.from_dict(
        {"image": [png(RGB[0], exif=note)], "label": [data[0]["label"]]}, features=FILES
    )
    sample = hf(split="train", root=save(turned, tmp_path))[0]
    assert np.array_equal(sample.image, np.rot90(RGB[0], k=-1))
    assert np.array_equal(sample.mask, np.rot90(IDS[0], k=-1))


def test_images_outside_the_table_are_read_from_their_files(tmp_path: Path) -> None:
    Pictures.fromarray(RGB[0]).save(tmp_path / "a b.png")
    Pictures.fromarray(IDS[0]).save(tmp_path / "m.png")
    cells = {"image": [str(tmp_path / "a b.png")], "label": [str(tmp_path / "m.png")]}
    rows = Dataset.from_dict(cells, features=FILES)
    rows.save_to_disk(str(tmp_path / "hf"))
    (tmp_path / "hf/classes.txt").write_text("a\nb\nc\n")
    sample = hf(split="train", root=tmp_path / "hf")[0]
    assert np.array_equal(sample.image, RGB[0])
    assert np.array_equal(sample.mask, IDS[0])


def test_broken_rows_are_named_and_the_others_read(tmp_path: Path) -> None:
    cut = png(IDS[1])
    cut["bytes"] = bytes(cut["bytes"])[:40]  # type: ignore[call-overload]
    wrong = np.full((6, 9), 77, dtype=np.uint8)
    root = save(table([None, cut, png(wrong)]), tmp_path)
    faults = find_faults(hf(split="train", root=root))
    assert len(faults) == 3
    assert "train[0]/label: expected an image, got an empty cell" in faults[0]
    assert "train[1]/label: expected a readable image" in faults[1]
    assert "train[2]/label: expected class ids 0 to 2 and 255, got 77 (54 pixels)" in faults[2]


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_come_from_workers_and_a_packed_copy_alike(tmp_path: Path, workers: int) -> None:
    root = save(DatasetDict({"train": table()}), tmp_path / "hf")
    data = hf(split="train", root=root)
    assert np.array_equal(pickle.loads(pickle.dumps(data))[1].mask, IDS[1])
    options = {"dataset": "hf", "root": str(root)}
    copy = pack({"train": data}, tmp_path / "packed", options=options)
    packed = build_dataset({**options, "root": str(copy)}, split="train")
    recipe = Recipe((5, 5), (0.5, 2.0), flip=True)
    loaders = [Stream(one, recipe, 2, 0).loader(0, 3, workers=workers) for one in (data, packed)]
    for one, other in zip(*loaders, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_says_what_is_wrong_with_the_folder(tmp_path: Path) -> None:
    root = save(DatasetDict({"train": table(), "validation": table()}), tmp_path / "up" / "hf")
    for wrong in (root.parent, root / "validation"):
        with pytest.raises(DataError, match=rf"hf: expected .*; give data\.root={root}$"):
            hf(split="train" if wrong == root.parent else "val", root=wrong)
    with pytest.raises(DataError, match=r"a split test, got train, validation; name one of them"):
        hf(split="test", root=root)
    with pytest.raises(DataError, match=r"classes\.txt: expected a file with one class name"):
        hf(split="train", root=save(table(), tmp_path / "bare", ""))
    (root / "train/data-00000-of-00001.arrow").write_bytes(b"no arrow")
    with pytest.raises(DataError, match=r"train: expected a folder of datasets\.save.*cannot"):
        hf(split="train", root=root)


def test_a_folder_of_one_split_is_not_also_its_validation(tmp_path: Path) -> None:
    root = save(table(), tmp_path / "hf")
    assert len(hf(split="train", root=root)) == 3
    with pytest.raises(DataError, match=r"hf: expected val/state\.json, or validation"):
        hf(split="val", root=root)


def test_the_package_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'segdistill\[hf\]'"):
        hf(split="train", root=tmp_path)
