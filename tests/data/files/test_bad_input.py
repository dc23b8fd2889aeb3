"""Every bad input one by one: handled, or refused by its name, never skipped in silence."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.data import build_dataset, inspect_data
from segdistill.data.files.dataset import FileDataset
from segdistill.data.formats.folder import folder
from segdistill.data.inspection import find_faults
from segdistill.data.stream import Stream
from segdistill.data.transforms import Recipe
from segdistill.errors import DataError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
IDS = RNG.integers(0, 3, (20, 30), dtype=np.uint8)
ALL = Recipe((20, 30))


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])


def image(tree: Path, suffix: str = "png") -> Path:
    path = tree / f"train/images/2.{suffix}"
    (tree / "train/images/2.png").unlink()
    Image.fromarray(RGB).save(path)
    return path


def mask(tree: Path) -> Path:
    return tree / "train/masks/2.png"


def truncated_jpeg(tree: Path) -> Path:
    path = image(tree, "jpg")
    cut(path)
    return path


def truncated_png(tree: Path) -> Path:
    path = image(tree)
    cut(path)
    return path


def truncated_mask(tree: Path) -> Path:
    cut(mask(tree))
    return mask(tree)


def image_is_a_folder(tree: Path) -> Path:
    path = image(tree)
    path.unlink()
    path.mkdir()
    return path


def mask_is_a_folder(tree: Path) -> Path:
    mask(tree).unlink()
    mask(tree).mkdir()
    return mask(tree)


def empty_image(tree: Path) -> Path:
    path = image(tree)
    path.write_bytes(b"")
    return path


def empty_mask(tree: Path) -> Path:
    mask(tree).write_bytes(b"")
    return mask(tree)


def text_for_image(tree: Path) -> Path:
    path = image(tree, "jpg")
    path.write_text("<html>404 not found</html>")
    return path


def mask_of_colours(tree: Path) -> Path:
    colors = np.array([(128, 64, 128), (70, 70, 70), (0, 0, 142)], dtype=np.uint8)
    Image.fromarray(colors[IDS]).save(mask(tree))
    return mask(tree)


def mask_with_loss(tree: Path) -> Path:
    mask(tree).unlink()
    path = mask(tree).with_suffix(".jpg")
    Image.fromarray(IDS).save(path)
    return path


def value_that_is_no_class(tree: Path) -> Path:
    Image.fromarray(np.where(IDS == 1, 7, IDS).astype(np.uint8)).save(mask(tree))
    return mask(tree)


def mask_of_another_size(tree: Path) -> Path:
    Image.fromarray(IDS[:-1]).save(mask(tree))
    return mask(tree)


def mask_that_is_not_turned(tree: Path) -> Path:
    note = Image.Exif()
    note[0x0112] = 6
    (tree / "train/images/2.png").unlink()
    Image.fromarray(RGB).save(tree / "train/images/2.jpg", exif=note)
    return mask(tree)


REFUSED: dict[Callable[[Path], Path], str] = {
    truncated_jpeg: "expected a readable image, got one that is cut off or broken",
    truncated_png: "expected a readable image, got one that is cut off or broken",
    truncated_mask: "expected a readable image, got one that is cut off or broken",
    image_is_a_folder: "expected an image file, got a folder",
    mask_is_a_folder: "expected an image file, got a folder",
    empty_image: "got 0 bytes",
    empty_mask: "got 0 bytes",
    text_for_image: "expected an image file, got a web page",
    mask_of_colours: "got RGB colours (",
    mask_with_loss: "expected a losslessly stored mask, got a JPEG",
    value_that_is_no_class: "expected class ids 0 to 2 and 255, got 7 (",
    mask_of_another_size: "expected a mask of its image's size 30×20, got 30×19",
    mask_that_is_not_turned: "its EXIF note turns it",
}


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_is_refused_by_name_in_training_in_checks_and_where_skipping_is_asked_for(
    tree: Path, spoil: Callable[[Path], Path]
) -> None:
    file, message = spoil(tree), REFUSED[spoil]
    data = folder(split="train", root=tree)
    assert len(data) == 5
    with pytest.raises(DataError) as refusal:
        Stream(data, ALL, 5, seed=0).batch(0)
    assert str(refusal.value).startswith(f"{file}: ")
    assert message in str(refusal.value)
    faults = find_faults(data)
    assert len(faults) == 1
    assert faults[0].startswith(f"{file}: ")
    report = inspect_data({"dataset": "folder", "root": str(tree)}, ["train"])
    assert report.faults == faults
    skipping = Stream(data, ALL, 5, seed=0, on_error="skip")
    assert skipping.batch(0).images.shape == (5, 3, 20, 30)
    assert list(skipping.skipped.values()) == faults


def cmyk_jpeg(tree: Path) -> np.ndarray:
    path = image(tree, "jpg")
    Image.fromarray(RGB).convert("CMYK").save(path)
    return np.asarray(Image.open(path).convert("RGB"))


def sixteen_bit_png(tree: Path) -> np.ndarray:
    Image.fromarray(RGB[..., 0].astype(np.uint16) * 257).save(image(tree))
    return RGB[..., :1].repeat(3, axis=2)


def sixteen_bit_tiff(tree: Path) -> np.ndarray:
    Image.fromarray(RGB[..., 0].astype(np.uint16) * 257).save(image(tree, "tif"))
    return RGB[..., :1].repeat(3, axis=2)


def grey_png(tree: Path) -> np.ndarray:
    Image.fromarray(RGB[..., 1]).save(image(tree))
    return RGB[..., 1:2].repeat(3, axis=2)


def exif_turned_with_its_mask(tree: Path) -> np.ndarray:
    note = Image.Exif()
    note[0x0112] = 3
    Image.fromarray(np.rot90(RGB, 2)).save(image(tree), exif=note)
    return RGB


def upper_case_extensions(tree: Path) -> np.ndarray:
    image(tree).rename(tree / "train/images/2.PNG")
    mask(tree).rename(mask(tree).with_suffix(".Png"))
    return RGB


def symbolic_links(tree: Path) -> np.ndarray:
    (tree / "elsewhere").mkdir()
    for file in (image(tree), mask(tree)):
        away = tree / "elsewhere" / f"{file.parent.name}.png"
        file.rename(away)
        file.symlink_to(away)
    return RGB


def spaces_and_other_letters(tree: Path) -> np.ndarray:
    for file in (image(tree), mask(tree)):
        file.rename(file.with_name("2 straße 道路 – копия.png"))
    return RGB


HANDLED = [
    cmyk_jpeg,
    sixteen_bit_png,
    sixteen_bit_tiff,
    grey_png,
    exif_turned_with_its_mask,
    upper_case_extensions,
    symbolic_links,
    spaces_and_other_letters,
]


@pytest.mark.parametrize("change", HANDLED, ids=lambda change: change.__name__)
def test_is_read_as_a_viewer_shows_it(tree: Path, change: Callable[[Path], np.ndarray]) -> None:
    expected = change(tree)
    Image.fromarray(IDS).save(next((tree / "train/masks").glob("2*")), format="PNG")
    data = folder(split="train", root=tree)
    assert find_faults(data) == []
    sample = data[2]
    assert np.abs(sample.image.astype(int) - expected).max() <= 2
    assert np.array_equal(sample.mask, IDS)
    stream = Stream(data, ALL, 5, seed=0)
    place = [stream.index(0, i) for i in range(5)].index(2)
    batch = stream.batch(0)
    assert np.array_equal(batch.images[place].permute(1, 2, 0), sample.image)
    assert np.array_equal(batch.labels[place], IDS)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_vanishes_during_the_run_is_named_or_skipped(tree: Path, workers: int) -> None:
    data = folder(split="train", root=tree)
    streams = [Stream(data, ALL, 5, seed=0, on_error=mode) for mode in ("raise", "skip")]
    for stream in streams:
        assert len(list(stream.loader(0, 2, workers=workers))) == 2
    mask(tree).unlink()
    with pytest.raises(DataError, match=r"masks/2\.png: expected an image file, got nothing"):
        list(streams[0].loader(2, 4, workers=workers))
    assert len(list(streams[1].loader(2, 4, workers=workers))) == 2
    assert list(streams[1].skipped) == [2]


def test_a_link_to_nothing_is_named_when_the_data_is_opened(tree: Path) -> None:
    (tree / "train/images/2.png").unlink()
    (tree / "train/images/2.png").symlink_to(tree / "gone.png")
    with pytest.raises(DataError, match=r"expected files that exist(.|\n)*images/2\.png"):
        folder(split="train", root=tree)


def test_a_read_only_folder_is_read_and_nothing_is_written_into_it(tree: Path) -> None:
    before = sorted(tree.rglob("*"))
    for path in (*before, tree):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        data = build_dataset({"dataset": "folder", "root": str(tree)}, split="train")
        assert isinstance(data, FileDataset)
        assert find_faults(data) == []
        assert len(list(Stream(data, ALL, 5, 0).loader(0, 2))) == 2
        assert sorted(tree.rglob("*")) == before
    finally:
        for path in (tree, *before):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert os.access(tree, os.W_OK)
