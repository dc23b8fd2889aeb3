"""The plain folder: both layouts, class files, and every mismatch named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data.files.classes import read_classes
from segdistill.data.files.palettes import distinct_colors
from segdistill.data.formats.folder import folder
from segdistill.errors import DataError
from segdistill.types import Sample


def test_reads_images_and_masks_that_match_by_name(tree: Path) -> None:
    data = folder(split="train", root=tree)
    sample = data[3]
    assert isinstance(sample, Sample)
    assert (len(data), sample.name) == (5, "3")
    assert np.array_equal(sample.image, np.array(Image.open(tree / "train/images/3.png")))
    assert np.array_equal(sample.mask, np.array(Image.open(tree / "train/masks/3.png")))
    assert data.classes.names == ("ground", "big tree", "sky")


def test_reads_images_slash_split_upper_case_and_sub_folders(tmp_path: Path, write: type) -> None:
    image, mask = np.zeros((4, 6, 3), np.uint8), np.ones((4, 6), np.uint8)
    write(tmp_path / "images/val/Köln/a b.PNG", image)
    write(tmp_path / "masks/val/Köln/a b.png", mask)
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    data = folder(split="val", root=tmp_path)
    assert data[0].name == "Köln/a b"
    assert np.array_equal(data[0].mask, mask)


def test_follows_symbolic_links_and_reads_a_folder_that_cannot_be_written(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path_factory.mktemp("links") / "data"
    link.symlink_to(tree)
    (tree / "train/images").chmod(0o555)
    assert len(folder(split="train", root=link)) == 5
    assert folder(split="train", root=link)[0].image.shape == (20, 30, 3)
    (tree / "train/images").chmod(0o755)


def test_masks_of_colours_are_read_with_the_colours_of_the_class_file(
    tmp_path: Path, write: type
) -> None:
    (tmp_path / "classes.txt").write_text("road 128 64 128\nignore 0 0 0\nsky, 70, 130, 180\n\n")
    colors = np.array([(128, 64, 128), (0, 0, 0), (70, 130, 180)], dtype=np.uint8)
    ids = np.array([[0, 1, 2, 2]])
    write(tmp_path / "train/images/x.png", np.zeros((1, 4, 3), np.uint8))
    write(tmp_path / "train/masks/x.png", colors[ids])
    data = folder(split="train", root=tmp_path)
    assert data.classes.names == ("road", "sky")
    assert data.classes.colors == ((128, 64, 128), (70, 130, 180))
    assert data[0].mask is not None
    assert data[0].mask.tolist() == [[0, 255, 1, 1]]


def test_lists_every_image_without_mask_and_every_mask_without_image(tree: Path) -> None:
    for name in ("1", "4"):
        (tree / f"train/masks/{name}.png").unlink()
    with pytest.raises(DataError, match=r"got 2 that have none(.|\n)*1\.png(.|\n)*4\.png"):
        folder(split="train", root=tree)
    for name in ("1", "4", "2"):
        (tree / f"train/images/{name}.png").unlink()
    with pytest.raises(DataError, match=r"an image in train/images/ for every mask(.|\n)*2\.png"):
        folder(split="train", root=tree)


def test_refuses_one_name_with_two_extensions(tree: Path) -> None:
    Image.new("RGB", (30, 20)).save(tree / "train/images/2.bmp")
    with pytest.raises(DataError, match=r"one file per name(.|\n)*2\.png"):
        folder(split="train", root=tree)


def test_refuses_an_empty_split(tree: Path) -> None:
    for part in ("images", "masks"):
        (tree / "val" / part).mkdir(parents=True)
    with pytest.raises(DataError, match="at least one image, got an empty split"):
        folder(split="val", root=tree)


def test_says_where_the_data_is_when_the_root_is_one_level_off(tree: Path) -> None:
    with pytest.raises(DataError, match=r"expected a split val .*, got train; name one of"):
        folder(split="val", root=tree)
    outer = tree.parent / f"{tree.name}_outer"
    outer.mkdir()
    tree.rename(outer / "inner")
    with pytest.raises(DataError, match=f"got none; give data.root={outer / 'inner'}$"):
        folder(split="train", root=outer)
    with pytest.raises(DataError, match=f"got none; give data.root={outer / 'inner'}$"):
        folder(split="train", root=outer / "inner" / "train")


def test_refuses_a_mask_of_another_size_with_both_files(tree: Path) -> None:
    Image.fromarray(np.zeros((10, 30), np.uint8)).save(tree / "train/masks/0.png")
    with pytest.raises(DataError) as error:
        folder(split="train", root=tree)[0]
    assert "masks/0.png: expected a mask of its image's size 30×20, got 30×10 for" in str(
        error.value
    )


def test_refuses_a_mask_that_does_not_follow_its_images_exif_note(tree: Path) -> None:
    note = Image.Exif()
    note[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tree / "train/images/0.png", exif=note)
    with pytest.raises(DataError, match="the mask fits the image as stored, but its EXIF note"):
        folder(split="train", root=tree)[0]
    Image.fromarray(np.zeros((30, 20), np.uint8)).save(tree / "train/masks/0.png")
    assert folder(split="train", root=tree)[0].image.shape == (30, 20, 3)


def test_a_file_that_vanishes_is_named_when_it_is_read(tree: Path) -> None:
    data = folder(split="train", root=tree)
    (tree / "train/images/1.png").unlink()
    with pytest.raises(DataError, match=r"images/1\.png: expected an image file, got nothing"):
        data[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected one class per line.*got no class"),
        ("a\nb\na\n", "expected each class once, got a twice"),
        ("a 1 2 3\nb\n", "a different colour for each class or for none"),
        ("a 1 2 3\nb 1 2 3\n", "a different colour for each class or for none"),
        ("ignore\na\nb\n", "expected a colour or an id for ignore, got none"),
    ],
)
def test_refuses_a_class_file_that_cannot_be_meant(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_classes(tmp_path / "classes.txt")
    with pytest.raises(DataError, match=r"none\.txt: expected a file with one class name per line"):
        read_classes(tmp_path / "none.txt")


def test_colours_for_classes_without_any_are_all_different() -> None:
    assert len(set(distinct_colors(150))) == 150


def test_a_comment_in_the_class_file_moves_no_ids(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("# from 0 on\nsky\n\nroad\n")
    assert read_classes(tmp_path / "classes.txt")[0].names == ("sky", "road")


def test_linked_sub_folders_are_read_and_a_link_to_itself_ends(tree: Path) -> None:
    for kind in ("images", "masks"):
        elsewhere = tree / "elsewhere" / kind
        elsewhere.mkdir(parents=True)
        (tree / f"train/{kind}/1.png").rename(elsewhere / "1.png")
        (tree / f"train/{kind}/city").symlink_to(elsewhere)
        (tree / f"train/{kind}/again").symlink_to(tree / f"train/{kind}")
    data = folder(split="train", root=tree)
    assert [pair.name for pair in data.pairs] == ["0", "2", "3", "4", "city/1"]
    assert data[4].mask is not None


def test_a_folder_named_as_an_image_is_refused_but_may_hold_images(tree: Path) -> None:
    for kind in ("images", "masks"):
        (tree / f"train/{kind}/x.png").mkdir()
    with pytest.raises(DataError, match=r"x\.png: expected an image file, got a folder"):
        folder(split="train", root=tree)[5]
    for kind in ("images", "masks"):
        (tree / f"train/{kind}/4.png").rename(tree / f"train/{kind}/x.png/4.png")
    assert folder(split="train", root=tree)[4].name == "x.png/4"
