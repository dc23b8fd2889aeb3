"""Readers of text, packs and parts of files: any content is read or refused, by a DataError."""

import contextlib
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from segdistill.data import build_dataset
from segdistill.data.files.classes import read_classes
from segdistill.data.files.dataset import FileDataset
from segdistill.data.formats.camvid import camvid
from segdistill.data.formats.coco_stuff import coco_stuff
from segdistill.data.formats.folder import folder
from segdistill.data.formats.list import list as listing
from segdistill.data.formats.pascal_context import pascal_context
from segdistill.data.formats.voc import voc
from segdistill.data.pack.manifest import MANIFEST
from segdistill.data.pack.packing import pack
from segdistill.data.stream import Stream
from segdistill.data.transforms import Recipe
from segdistill.errors import DataError

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
# Bytes near what is meant find more than bytes at random.
TEXT = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.text("image,mask\\nsplt\"'/.:{}[]0123 \x00\r\té", max_size=80).map(str.encode),
)


@contextlib.contextmanager
def refusals() -> contextlib.AbstractContextManager[None]:
    with warnings.catch_warnings(), contextlib.suppress(DataError):
        warnings.simplefilter("ignore")
        yield


@FUZZ
@given(content=TEXT)
def test_any_class_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes(content)
    with refusals():
        classes, _ = read_classes(file)
        assert len(classes) >= 1


@FUZZ
@given(content=TEXT, suffix=st.sampled_from([".csv", ".jsonl"]))
def test_any_list(tree: Path, content: bytes, suffix: str) -> None:
    for whole in (content, b"image,mask\n" + content, b'{"image": ' + content):
        (tree / f"data{suffix}").write_bytes(whole)
        with refusals():
            assert len(listing(split="train", root=tree, file=f"data{suffix}")) >= 1


@FUZZ
@given(content=TEXT)
def test_any_list_of_names(tmp_path: Path, content: bytes) -> None:
    for part in ("JPEGImages", "ImageSets/Segmentation", "ImageSets/Main", "trainval", "train",
                 "trainannot", "images", "annotations", "imageLists"):  # fmt: skip
        (tmp_path / part).mkdir(parents=True, exist_ok=True)
    for file in ("ImageSets/Segmentation/train.txt", "ImageSets/Main/train.txt", "labels.txt",
                 "train.txt", "imageLists/train.txt"):  # fmt: skip
        (tmp_path / file).write_bytes(content)
    readers: list[Callable[..., FileDataset]] = [voc, pascal_context, camvid, coco_stuff]
    for read in readers:
        with refusals():
            assert len(read(split="train", root=tmp_path)) >= 1


@FUZZ
@given(data=st.data())
def test_any_change_of_a_packed_copy(
    dataset: FileDataset, tmp_path: Path, data: st.DataObject
) -> None:
    out = tmp_path / "packed"
    if not out.exists():
        pack({"train": dataset}, out, options={"dataset": "folder"}, compress=True)
    name = data.draw(st.sampled_from(["train.tiles.bin", MANIFEST]))
    before = (out / name).read_bytes()
    whole = bytearray(before)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (out / name).write_bytes(whole)
    try:
        with refusals():
            opened = build_dataset({"dataset": "folder", "root": str(out)}, split="train")
            for index in range(5):
                with refusals():
                    assert opened[index].image.shape == (20, 30, 3)
    finally:
        (out / name).write_bytes(before)


def test_a_manifest_of_another_shape_is_refused(dataset: FileDataset, tmp_path: Path) -> None:
    out = pack({"train": dataset}, tmp_path / "packed", options={"dataset": "folder"})
    manifest = json.loads((out / MANIFEST).read_text())
    for change in ([], 3, {"format": 1}, {**manifest, "splits": {"train": 4}}):
        (out / MANIFEST).write_text(json.dumps(change))
        with pytest.raises(DataError, match=r"segdistill-pack\.json: expected"):
            build_dataset({"dataset": "folder", "root": str(out)}, split="train")


@FUZZ
@given(data=st.data())
def test_any_change_of_a_file_that_is_read_in_part(tree: Path, data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["images", "masks"]))
    file = tree / f"train/{part}/0.png"
    before = file.read_bytes()
    whole = bytearray(before)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    kept, k = data.draw(st.integers(1, len(whole))), data.draw(st.integers(0, 9))
    recipe = Recipe((8, 8), (0.5, 2.0), max_class_share=data.draw(st.sampled_from([0.5, 1.0])))
    file.write_bytes(whole[:kept])
    try:
        with refusals():
            stream = Stream(folder(split="train", root=tree), recipe, 5, seed=0)
            assert stream.batch(k).images.shape == (5, 3, 8, 8)
    finally:
        file.write_bytes(before)


@FUZZ
@given(data=st.data())
def test_any_change_of_a_matlab_mask(tmp_path: Path, data: st.DataObject) -> None:
    encoded = io.BytesIO()
    savemat(encoded, {"S": np.ones((6, 9), np.uint8)}, do_compression=data.draw(st.booleans()))
    whole = bytearray(encoded.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for part in ("images", "annotations", "imageLists"):
        (tmp_path / part).mkdir(exist_ok=True)
    Image.new("RGB", (9, 6)).save(tmp_path / "images/a.jpg")
    (tmp_path / "imageLists/train.txt").write_text("a")
    (tmp_path / "annotations/a.mat").write_bytes(whole[: data.draw(st.integers(1, len(whole)))])
    with refusals():
        mask = coco_stuff(split="train", root=tmp_path)[0].mask
        assert mask is not None
        assert mask.shape == (6, 9)
