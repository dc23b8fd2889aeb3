"""init: what a folder holds is found, and the config that is written is read by the others."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segdistill.api.init import init
from segdistill.config.loading import load_configs
from segdistill.errors import DataError, OverwriteError
from segdistill.training.build import open_split


def put(file: Path, array: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file)


def fill(
    root: Path, image: str, mask: str, *, count: int = 10, values: tuple[int, ...] = (0, 1, 255)
) -> None:
    """Write images and masks; ``{}`` in the paths is the number."""
    rng = np.random.default_rng(0)
    for number in range(count):
        put(root / image.format(number), rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        put(root / mask.format(number), rng.choice(np.array(values, np.uint8), (48, 64)))


def splits_of(config: Path) -> dict[str, int]:
    checked = load_configs(config)[""]
    scored = checked.evaluation.split
    names = {checked.data.train_split: 0, scored: 0}
    return {name: len(open_split(checked.data, name)) for name in names}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_split_folders_are_read_as_they_are(here: Path) -> None:
    for split, count in (("train", 6), ("valid", 3)):
        fill(here / "own", f"{split}/img/{{}}.jpg", f"{split}/gt/{{}}.png", count=count)
    (here / "own/classes.txt").write_text("ground\nsky\n")
    proposal = init("own", "own.yaml")
    assert proposal.files == (Path("own.yaml"),)
    data = yaml.safe_load(Path("own.yaml").read_text())["data"]
    assert data["dataset"] == "folder"
    assert (data["images"], data["masks"]) == ("img", "gt")
    assert splits_of(Path("own.yaml")) == {"train": 6, "valid": 3}


def test_training_images_alone_get_a_part_held_out(here: Path) -> None:
    fill(here / "own", "images/train/{}.jpg", "masks/train/{}.png")
    (here / "own/classes.txt").write_text("ground\nsky\n")
    init("own", "own.yaml")
    assert splits_of(Path("own.yaml")) == {"train": 8, "holdout": 2}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{}.jpg", "masks/{}.png"),
        ("{}.jpg", "{}_mask.png"),
        ("{}.jpg", "{}.png"),
        ("photos/a/{}.jpg", "labels/a/{}_L.png"),
    ],
)
def test_flat_folders_become_a_list_beside_the_config(here: Path, image: str, mask: str) -> None:
    fill(here / "own", image, mask)
    before = sorted((here / "own").rglob("*"))
    proposal = init("own", "configs/own.yaml")
    assert [file.name for file in proposal.files] == ["own.yaml", "own.classes.txt", "own.csv"]
    assert splits_of(Path("configs/own.yaml")) == {"train": 8, "val": 2}
    assert sorted((here / "own").rglob("*")) == before
    assert "  255, no class: 32.93 %" in "\n".join(proposal.found)


def test_class_files_of_other_tools_are_understood(here: Path) -> None:
    fill(here / "own", "images/{}.jpg", "masks/{}.png")
    (here / "own/labels.txt").write_text("__ignore__\n_background_\ncar\n")
    init("own", "own.yaml")
    dataset = open_split(load_configs("own.yaml")[""].data, "train")
    assert dataset.classes.names == ("_background_", "car")
    fill(here / "split", "train/images/{}.jpg", "train/masks/{}.png")
    (here / "split/labels.txt").write_text("__ignore__\n_background_\ncar\n")
    assert init("split", "split.yaml").files == (Path("split.yaml"), Path("split.classes.txt"))
    assert splits_of(Path("split.yaml")) == {"train": 8, "holdout": 2}


def test_colours_become_classes(here: Path) -> None:
    colors = np.array([(0, 0, 0), (128, 64, 128), (70, 130, 180)], np.uint8)
    for number in range(4):
        ids = np.random.default_rng(number).integers(0, 3, (48, 64))
        put(here / f"own/images/{number}.png", np.zeros((48, 64, 3), np.uint8))
        put(here / f"own/masks/{number}.png", colors[ids])
    proposal = init("own", "own.yaml")
    dataset = open_split(load_configs("own.yaml")[""].data, "train")
    assert len(dataset.classes) == 3
    assert set(np.unique(dataset[0].mask)) == {0, 1, 2}
    assert "color_128_64_128 (stored as 128 64 128)" in "\n".join(proposal.found)


def test_frames_of_a_video_are_told_and_kept_in_blocks(here: Path) -> None:
    for number in range(40):
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[:, number : number + 20] = 6 * number
        put(here / f"own/images/f{number}.png", frame)
        put(here / f"own/masks/f{number}.png", (frame[..., 0] > 0).astype(np.uint8))
    found = "\n".join(init("own", "own.yaml").found)
    assert "frames of a video, kept in blocks" in found
    assert "4 of 20 blocks of neighbouring names" in found


def test_images_without_masks_are_told(here: Path) -> None:
    fill(here / "own", "images/{}.jpg", "masks/{}.png")
    (here / "own/masks/3.png").unlink()
    found = "\n".join(init("own", "own.yaml").found)
    assert "1 images have no mask and are left out, such as images/3.jpg" in found


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 3, 8), r"got 0, 3, 8; segdistill convert own --out NAME, then segdistill init NAME"),
        ((1, 2), r"got 1, 2; segdistill convert own --out"),
        ((0,), "expected at least two classes, got class_0 alone"),
    ],
)
def test_masks_that_are_no_ids_from_0_are_sent_to_convert(
    here: Path, values: tuple[int, ...], message: str
) -> None:
    fill(here / "own", "images/{}.jpg", "masks/{}.png", values=values)
    with pytest.raises(DataError, match=message):
        init("own", "own.yaml")
    assert not Path("own.yaml").exists()


@pytest.mark.parametrize("names", ["", "ground\nroad\n"])
def test_masks_of_0_and_255_are_binary(here: Path, names: str) -> None:
    fill(here / "own", "train/images/{}.jpg", "train/masks/{}.png", values=(0, 255))
    if names:
        (here / "own/classes.txt").write_text(names)
    found = "\n".join(init("own", "own.yaml").found)
    assert "(stored as 255): " in found
    assert "255, no class" not in found
    dataset = open_split(load_configs("own.yaml")[""].data, "train")
    assert dataset.classes.names == tuple(names.split() or ("background", "foreground"))
    assert set(np.unique(dataset[0].mask)) == {0, 1}


def test_labels_from_1_are_told_of_reduce_labels_before_a_class_is_added(here: Path) -> None:
    fill(here / "own", "images/{}.jpg", "masks/{}.png", values=(0, 1, 2))
    (here / "own/classes.txt").write_text("ground\nsky\n")
    with pytest.raises(DataError, match=r"where 0 has no class .*data\.reduce_labels: true"):
        init("own", "own.yaml")


def test_masks_with_other_values_than_the_class_file_are_refused(here: Path) -> None:
    fill(here / "own", "images/{}.jpg", "masks/{}.png", values=(0, 1, 5))
    (here / "own/classes.txt").write_text("ground\nsky\n")
    with pytest.raises(DataError, match=r"the 2 ids in classes\.txt, got \[5\] beside them"):
        init("own", "own.yaml")


def test_an_export_is_refused_with_the_command_that_converts_it(here: Path) -> None:
    fill(here / "own", "train/{}.jpg", "train/{}_mask.png")
    (here / "own/train/_classes.csv").write_text("Pixel Value, Class\n0, a\n1, b\n")
    with pytest.raises(DataError, match=r"roboflow: .*segdistill convert own --out own-converted"):
        init("own", "own.yaml")


def test_a_public_dataset_is_refused_with_the_words_that_read_it(here: Path) -> None:
    fill(here / "own", "train/0001TP_{}.jpg", "trainannot/0001TP_{}.png")
    with pytest.raises(DataError, match=r"got camvid .*data=\{dataset: camvid, root: own,"):
        init("own", "own.yaml")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "got nothing"),
        ({"notes.txt": ""}, r"got no image but \.txt"),
        ({"images/1.jpg": "image", "1.npy": ""}, "beside 1 NumPy arrays, which are not"),
        ({"a/1.jpg": "image", "b/2.jpg": "image"}, "got 2 images and 0 masks of which none match"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    here: Path, files: dict[str, str], message: str
) -> None:
    (here / "own").mkdir()
    for name, kind in files.items():
        if kind:
            put(here / "own" / name, np.zeros((8, 8, 3), np.uint8))
        else:
            (here / "own" / name).write_text("")
    with pytest.raises(DataError, match=message):
        init("own", "own.yaml")


def test_no_file_is_written_over(here: Path) -> None:
    fill(here / "own", "images/{}.jpg", "masks/{}.png")
    init("own", "own.yaml")
    before = {file: file.read_bytes() for file in here.glob("own.*")}
    with pytest.raises(OverwriteError, match=r"init: expected a new file, got own\.yaml"):
        init("own", "own.yaml")
    Path("own.yaml").unlink()
    with pytest.raises(OverwriteError, match="init: expected a new file"):
        init("own", "own.yaml")
    assert {file: file.read_bytes() for file in here.glob("own.*") if file.name != "own.yaml"} == {
        file: content for file, content in before.items() if file.name != "own.yaml"
    }
