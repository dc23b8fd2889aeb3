"""What is written: whole, one's own, and with everything at fault named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.api.convert import convert
from segdistill.errors import ConfigError, DataError, OverwriteError

from .exports import COLORS, EXPORTS, roboflow, save, scene


def files_of(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*.*") if file.is_file()}


def test_images_are_copied_to_the_byte_and_masks_show_their_colours(tmp_path: Path) -> None:
    EXPORTS["cvat"](tmp_path / "export")
    convert(tmp_path / "export", tmp_path / "out")
    before, after = tmp_path / "export/JPEGImages/t0.jpg", tmp_path / "out/images/train/t0.jpg"
    assert before.read_bytes() == after.read_bytes()
    with Image.open(tmp_path / "out/masks/train/t0.png") as mask:
        assert mask.mode == "P"
        shown = np.asarray(mask.convert("RGB"))
    assert np.array_equal(shown, np.array(COLORS, np.uint8)[scene(0)[1]])
    assert (tmp_path / "out/classes.txt").read_text() == (
        "0 sky 128 128 128\n1 road 128 64 128\n2 car 64 0 128\n"
    )


def test_broken_files_are_named_and_the_rest_is_written(tmp_path: Path) -> None:
    roboflow(tmp_path / "export")
    (tmp_path / "export/train/t0.jpg").write_bytes(b"\xff\xd8\xff cut off")
    save(tmp_path / "export/train/t1_mask.png", np.full((24, 32), 9, np.uint8))
    save(tmp_path / "export/valid/v0_mask.png", np.zeros((24, 30), np.uint8))
    (tmp_path / "export/valid/v1_mask.png").unlink()
    written = convert(tmp_path / "export", tmp_path / "out").written
    assert dict(written.images) == {"train": 1}
    for file, reason in (
        ("train/t0.jpg", "cut off or broken"),
        ("train/t1_mask.png", r"got 9 \(768 pixels\)"),
        ("valid/v0_mask.png", "expected a mask of its image's size 32×24, got 30×24"),
        ("valid/v1.jpg", "an image without a mask"),
    ):
        (line,) = [line for line in written.broken if file in line]
        with pytest.raises(DataError, match=reason):
            raise DataError(line)
    assert files_of(tmp_path / "out") == {
        "classes.txt", "images/train/t2.jpg", "masks/train/t2.png", ".segdistill.jsonl",
        "images/train/.segdistill.jsonl", "masks/train/.segdistill.jsonl",
    }  # fmt: skip


def test_a_second_conversion_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    roboflow(tmp_path / "export")
    convert(tmp_path / "export", tmp_path / "out")
    for file in (tmp_path / "export/train").glob("t0*"):
        file.unlink()
    convert(tmp_path / "export", tmp_path / "out")
    assert not (tmp_path / "out/images/train/t0.jpg").exists()
    assert (tmp_path / "out/images/train/t1.jpg").exists()
    (tmp_path / "out/masks/train/t1.png").write_bytes(b"corrected by hand")
    with pytest.raises(OverwriteError, match=r"masks/train/t1\.png"):
        convert(tmp_path / "export", tmp_path / "out")
    assert (tmp_path / "out/masks/train/t1.png").read_bytes() == b"corrected by hand"


def test_a_conversion_that_was_killed_while_it_wrote_can_be_repeated(tmp_path: Path) -> None:
    roboflow(tmp_path / "export")
    convert(tmp_path / "export", tmp_path / "out")
    whole = files_of(tmp_path / "out")
    for folder in ("images", "masks"):
        (tmp_path / "out" / folder / "train" / f".t1.png.{2**22 + 1}.tmp").write_bytes(b"ha")
    convert(tmp_path / "export", tmp_path / "out")
    assert files_of(tmp_path / "out") == whole


@pytest.mark.parametrize("out", ["export", "export/out", "."])
def test_refuses_to_write_into_the_export_or_around_it(out: str, tmp_path: Path) -> None:
    roboflow(tmp_path / "export")
    before = files_of(tmp_path)
    with pytest.raises(OverwriteError, match="expected a folder outside of"):
        convert(tmp_path / "export", tmp_path / out)
    assert files_of(tmp_path) == before


def test_two_images_of_one_name_are_told_apart_or_named(tmp_path: Path) -> None:
    EXPORTS["coco"](tmp_path / "export")
    image, _ = scene(0)
    save(tmp_path / "export/train/T0_png.rf.0a1b.jpg", image)
    file = tmp_path / "export/train/_annotations.coco.json"
    text = file.read_text().replace('"t1_png.rf.0a1b.jpg"', '"T0_png.rf.0a1b.jpg"')
    file.write_text(text)
    written = convert(tmp_path / "export", tmp_path / "out").written
    assert dict(written.images) == {"train": 2, "val": 2}
    assert "expected a unique name, got train/T0_png.rf.0a1b, which" in written.broken[0]


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "export.zip").write_bytes(b"PK")
    for source, message in (
        ("empty", "expected images and masks with matching names, got nothing"),
        ("nothing", "expected a folder, got nothing"),
        ("export.zip", "expected a folder, got a file; unpack an archive first"),
    ):
        with pytest.raises(DataError, match=message):
            convert(tmp_path / source, tmp_path / "out")
    with pytest.raises(ConfigError, match="there is no format 'labelm'; did you mean 'labelme'"):
        convert(tmp_path / "empty", tmp_path / "out", format="labelm")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [name for name in EXPORTS if name != "masks"])
def test_a_format_that_is_named_wrongly_is_refused(name: str, tmp_path: Path) -> None:
    save(tmp_path / "other/notes.txt", "no export")
    with pytest.raises(DataError, match=str(tmp_path / "other")):
        convert(tmp_path / "other", tmp_path / "out", format=name)


def test_splits_are_proposed_where_the_export_has_none(tmp_path: Path) -> None:
    for number in range(10):
        image, ids = scene(number)
        save(tmp_path / f"export/images/f{number}.jpg", image)
        save(tmp_path / f"export/masks/f{number}.png", ids)
    written = convert(tmp_path / "export", tmp_path / "out").written
    assert dict(written.images) == {"train": 8, "val": 2}
    assert any("held out as val, 2 of 10 images" in note for note in written.notes)


def test_black_and_white_masks_and_gaps_become_ids_from_0(tmp_path: Path) -> None:
    for number in range(2):
        image, ids = scene(number)
        save(tmp_path / f"export/images/f{number}.jpg", image)
        save(tmp_path / f"export/masks/f{number}.png", (ids == 2).astype(np.uint8) * 255)
    written = convert(tmp_path / "export", tmp_path / "out").written
    assert written.classes.names == ("background", "foreground")
    assert written.ignored_pixels == 0


def test_masks_of_0_and_255_with_two_names_show_both(tmp_path: Path) -> None:
    for number in range(2):
        image, ids = scene(number)
        save(tmp_path / f"export/images/f{number}.jpg", image)
        save(tmp_path / f"export/masks/f{number}.png", (ids == 2).astype(np.uint8) * 255)
    save(tmp_path / "export/classes.txt", "background\nroad\n")
    written = convert(tmp_path / "export", tmp_path / "out").written
    assert written.classes.names == ("background", "road")
    assert written.ignored_pixels == 0
    assert not written.unused


@pytest.mark.parametrize(("background", "ignored"), [(None, 8), ("background", 0)])
def test_255_in_finished_masks_is_background_only_where_that_is_said(
    tmp_path: Path, background: str | None, ignored: int
) -> None:
    for number in range(2):
        image, ids = scene(number)
        ids[0, :4] = 255
        save(tmp_path / f"export/images/f{number}.jpg", image)
        save(tmp_path / f"export/masks/f{number}.png", ids)
    save(tmp_path / "export/classes.txt", "background\nroad\ncar\n")
    written = convert(tmp_path / "export", tmp_path / "out", background=background).written
    assert written.ignored_pixels == ignored


def test_one_class_alone_is_told(tmp_path: Path) -> None:
    EXPORTS["labelme"](tmp_path / "export")
    for file in (tmp_path / "export").rglob("*.json"):
        file.write_text(file.read_text().replace('"road"', '"car"').replace('"sky"', '"car"'))
    (tmp_path / "export/labels.txt").write_text("road\ncar\n")
    written = convert(tmp_path / "export", tmp_path / "out").written
    assert written.only_class == "car"
    assert written.unused == ["road"]
