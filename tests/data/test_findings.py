"""Faults of a whole split: labels that leave nothing to learn, palettes that disagree, notes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data import inspect_data
from segdistill.data.data_report import refuse_faults
from segdistill.data.formats.folder import folder
from segdistill.data.inspection import inspect_splits, spread
from segdistill.errors import DataError


def masks(tree: Path, *arrays: np.ndarray) -> None:
    for index in range(5):
        array = arrays[min(index, len(arrays) - 1)]
        Image.fromarray(array).save(tree / f"train/masks/{index}.png")


def report(tree: Path, **options: object) -> tuple[list[str], list[str]]:
    found = inspect_data({"dataset": "folder", "root": tree, **options}, ["train"])
    return found.faults, found.warnings


def test_binary_masks_of_0_and_255_stop_with_what_to_do(tree: Path) -> None:
    binary = np.zeros((20, 30), np.uint8)
    binary[10:] = 255
    masks(tree, binary)
    (tree / "classes.txt").write_text("background\nroad\n")
    (fault,), _ = report(tree)
    assert "got background alone, and 255 (no class) on 50 % of the pixels" in fault
    assert "set data.labels={0: background, 255: road}, or data.binary=true" in fault
    for options in ({"binary": True}, {"labels": {0: "background", 255: "road"}}):
        assert report(tree, **options) == ([], [])


def test_one_class_alone_stops(tree: Path) -> None:
    (tree / "classes.txt").write_text("road\n")
    masks(tree, np.zeros((20, 30), np.uint8))
    assert "expected at least two classes, got only road" in report(tree)[0][0]


def test_masks_without_any_label_stop_and_a_class_without_pixels_is_said(tree: Path) -> None:
    masks(tree, np.full((20, 30), 255, np.uint8))
    assert "expected pixels with a class, got masks of 255 alone" in report(tree)[0][0]
    half = np.full((20, 30), 255, np.uint8)
    half[:3], half[3:6] = 0, 1
    masks(tree, half)
    faults, (warning,) = report(tree)
    assert faults == []
    assert warning.startswith("train: no pixel of sky; no class fills 70 %: if the 255")
    assert warning.endswith("is a class, set data.labels={255: sky}")


def test_a_class_without_pixels_is_said_of_a_sample_too(tree: Path) -> None:
    mask = np.repeat([0, 1, 255], 200).reshape(20, 30).astype(np.uint8)
    masks(tree, mask)
    (tree / "classes.txt").write_text("sky\nroad\ncar\ntruck\n")
    found = inspect_splits({"train": folder(split="train", root=tree)}, sample=2)
    # Which of the two 255 would be, nobody can say.
    said = "train: no pixel of car, truck; no class fills 33 % in 2 of 5 images; check --data looks"
    assert found.warnings == [f"{said} at all"]


def test_a_sample_reads_on_while_in_doubt_and_stops_when_it_is_settled(tree: Path) -> None:
    void = np.full((20, 30), 255, np.uint8)
    labelled = void.copy()
    labelled[0, :2] = (0, 1)
    masks(tree, void, void, void, void, labelled)
    data = folder(split="train", root=tree)
    assert inspect_splits({"train": data}, sample=1).faults == []
    masks(tree, void)
    assert len(inspect_splits({"train": data}, sample=1).faults) == 1


def test_a_sample_is_spread_over_the_split() -> None:
    assert spread(100, 4) == [12, 37, 62, 87]
    assert spread(3, 16) == [0, 1, 2]
    assert spread(3, None) == [0, 1, 2]


def test_broken_files_are_warnings_where_training_skips_them(tree: Path) -> None:
    (tree / "train/images/0.png").write_bytes(b"")
    data = folder(split="train", root=tree)
    found = inspect_splits({"train": data}, skip_broken=True)
    assert found.faults == []
    assert "0 bytes" in found.warnings[0]
    with pytest.raises(DataError, match=r"train: expected data that can(.|\n)*got 0 bytes"):
        refuse_faults("train", inspect_splits({"train": data}))


def palettes(tree: Path) -> np.ndarray:
    """Write masks of one picture whose palettes are ordered differently."""
    ids = np.repeat([0, 1, 2], 200).reshape(20, 30).astype(np.uint8)
    table = np.array([(70, 130, 180), (128, 64, 128), (0, 0, 142)], dtype=np.uint8)
    for index in range(5):
        order = np.roll(np.arange(3), index)
        mask = Image.fromarray(np.argsort(order)[ids].astype(np.uint8), "P")
        mask.putpalette(table[order].ravel().tolist())
        mask.save(tree / f"train/masks/{index}.png")
    return ids


def test_palettes_that_disagree_stop_and_are_looked_up_where_classes_have_colours(
    tree: Path,
) -> None:
    ids = palettes(tree)
    (fault,), _ = report(tree)
    assert "expected palettes that agree, got the colour (0, 0, 142) as 2 in" in fault
    assert "give each class its colour in the class file" in fault
    (tree / "classes.txt").write_text("sky 70 130 180\nroad 128 64 128\ncar 0 0 142\n")
    assert report(tree) == ([], [])
    data = folder(split="train", root=tree)
    for index in range(5):
        assert np.array_equal(data[index].mask, ids)
        assert np.array_equal(data.read_mask(index), ids)
        top, _ = data.read_top(index, lambda _: 7)
        assert top.mask is not None
        assert np.array_equal(top.mask[:7], ids[:7])


def test_exif_notes_that_keep_the_size_are_counted(tree: Path) -> None:
    note = Image.Exif()
    note[0x0112] = 3  # upside down: the size stays
    picture = Image.open(tree / "train/images/0.png")
    picture.save(tree / "train/images/0.png", exif=note)
    for kind in ("images", "masks"):
        other = Image.open(tree / f"train/{kind}/1.png")
        other.save(tree / f"train/{kind}/1.png", exif=note)
    faults, warnings = report(tree)
    assert faults == []
    assert any("1 images were turned by their EXIF notes, but their masks" in w for w in warnings)
    assert any("1 images and their masks were turned by EXIF notes" in w for w in warnings)


def test_a_fourth_band_that_is_dropped_is_said(tree: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    Image.fromarray(rgba, "RGBA").save(tree / "train/images/0.png")
    assert "1 images have a fourth band, which was taken for transparency" in report(tree)[1][0]
    rgba[..., 3] = 255
    Image.fromarray(rgba, "RGBA").save(tree / "train/images/0.png")
    assert report(tree)[1] == []


def test_the_classes_are_described_with_id_colour_and_what_is_stored(tree: Path) -> None:
    (tree / "classes.txt").write_text("1 ground\n2 big tree\n0 sky\n")
    found = inspect_data({"dataset": "folder", "root": tree}, ["train"])
    assert [line.split(",")[0] for line in found.classes[:3]] == ["0 sky", "1 ground", "2 big tree"]
    assert found.classes[0].endswith("stored as 0")
    assert found.as_json()["classes"] == found.classes


def test_two_bits_that_16_bit_images_do_not_use_are_said(tree: Path) -> None:
    for index in range(5):
        wide = np.full((20, 30), 16_000, np.uint16)
        Image.fromarray(wide).save(tree / f"train/images/{index}.png")
    faults, (warning,) = report(tree)
    assert faults == []
    assert "16-bit numbers up to 16000 leave 63 of 256 grey levels" in warning
    assert "set data.range=[0, 16383]" in warning
    assert report(tree, range=[0, 16383]) == ([], [])


def test_threads_share_no_limit_of_pixels(
    tree: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    for index in range(5):
        with Image.open(tree / f"train/images/{index}.png") as picture:
            picture.convert("P").save(tree / f"train/images/{index}.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # every image has 600
    recwarn.clear()
    found = inspect_data({"dataset": "folder", "root": tree}, ["train"], workers=4)
    assert found.faults == []
    assert [str(warning.message) for warning in recwarn] == []
    assert Image.MAX_IMAGE_PIXELS == 200
