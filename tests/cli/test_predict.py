"""predict: pictures and server files, from images or from a split."""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from segdistill.data.scenes.canvas import CLASSES
from segdistill.runs.student import student_file

from .conftest import Cli, Trained, folder_config


def photos(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for seed, name in enumerate(names):
        noise = np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)
    return folder


def test_images_and_folders_give_one_picture_each(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "photos", "a.png", "b.JPG")
    (folder / "notes.txt").touch()
    done = cli("predict", trained.run, folder, "--out", "masks")
    assert (done.code, done.out) == (0, "2 predictions written to masks\n")
    for name in ("a", "b"):
        picture = np.asarray(Image.open(tmp_path / "masks" / f"{name}.png"))
        assert picture.shape == (40, 56, 3)
        assert {tuple(color) for color in picture.reshape(-1, 3).tolist()} <= set(CLASSES.colors)


def test_a_split_is_predicted_with_settings_of_the_run(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    words = ["data.val_images=2", "--split", "val", "--format", "overlay", "--json"]
    done = cli("predict", trained.run, *words)
    written = [Path(file) for file in json.loads(done.out)]
    assert [file.suffix for file in written] == [".jpg", ".jpg"]
    assert all((tmp_path / file).is_file() for file in written)
    assert "predicting: 2/2" in done.err


def test_weights_alone_can_predict(trained: Trained, cli: Cli, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", "a.png")
    weights = tmp_path / "alone" / "shipped.safetensors"
    weights.parent.mkdir()
    shutil.copy(student_file(trained.run), weights)
    assert cli("predict", weights, folder, "--out", "one").code == 0
    cli("predict", trained.run, folder, "--out", "two")
    assert (tmp_path / "one/a.png").read_bytes() == (tmp_path / "two/a.png").read_bytes()
    refused = cli("predict", weights, "--split", "val")
    assert refused.code == 2
    assert "resolved.yaml" in refused.err


def test_refuses_what_it_cannot_predict_on(trained: Trained, cli: Cli, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", "a.png", "a.jpg")
    for words, code, message in (
        ([], 2, "expected either images or --split"),
        ([folder, "--split", "val"], 2, "expected either images or --split"),
        ([folder], 1, "expected one image for each name"),
        ([tmp_path / "none"], 1, "expected an image or a folder at"),
        ([tmp_path], 1, "expected images, got none in"),
        (
            [folder / "a.png", "--format", "pdf"],
            2,
            "there is no 'pdf'; choose one of: ade20k",
        ),
        ([folder / "a.png", "--format", "voc"], 1, "classes: expected the"),
    ):
        done = cli("predict", trained.run, *words)
        assert (done.code, done.out) == (code, "")
        assert message in done.err


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_never_writes_among_the_images_it_reads(trained: Trained, cli: Cli, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", "a.png", "b.jpg")
    (tmp_path / "link").symlink_to(folder)
    before = contents(folder)
    for words, message in (
        ([folder, "--out", folder], "expected a separate folder for predictions"),
        ([folder, "--out", "link"], "expected a separate folder for predictions"),
        (
            [folder, "--recursive", "--out", folder / "masks"],
            "expected a separate folder for predictions",
        ),
        ([folder / "a.png", "--out", folder], "or an unchanged one written by predict"),
        ([folder / "a.png", "--out", "link"], "or an unchanged one written by predict"),
    ):
        done = cli("predict", trained.run, *words)
        assert (done.code, done.out) == (2, "")
        assert message in done.err
        assert contents(folder) == before


def test_never_writes_among_the_files_of_a_dataset(
    trained: Trained, cli: Cli, folder: Path, tmp_path: Path
) -> None:
    before = contents(folder)
    words = [*folder_config(folder), "--split", "val"]
    for kind in ("images", "masks"):
        done = cli("predict", trained.run, *words, "--out", folder / "val" / kind)
        assert (done.code, contents(folder)) == (2, before)
        assert "expected a separate folder for predictions" in done.err
    other = photos(tmp_path / "photos", "a.png")
    done = cli("predict", trained.run, other, "--out", folder / "train" / "masks")
    assert (done.code, contents(folder)) == (2, before)
    assert "train/masks/a.png" in done.err


def test_may_write_again_what_it_wrote_unless_it_was_changed(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "photos", "a.png", "b.png")
    for _ in range(2):
        assert cli("predict", trained.run, folder, "--out", "masks").code == 0
    (tmp_path / "masks/b.png").write_bytes(b"drawn by hand")
    refused = cli("predict", trained.run, folder, "--out", "masks")
    assert refused.code == 2
    assert "masks/b.png" in refused.err
    assert (tmp_path / "masks/b.png").read_bytes() == b"drawn by hand"


def test_an_own_prediction_is_not_written_over_while_it_is_read(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "photos", "a.png")
    assert cli("predict", trained.run, folder, "--out", "masks").code == 0
    done = cli("predict", trained.run, "masks/a.png", "--out", "masks")
    assert (done.code, done.out) == (2, "")


def test_folders_inside_are_searched_on_request_and_keep_their_names(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("day", "night"):
        photos(tree / name, "same.png")
    (tree / "night" / "round").symlink_to(tree)
    photos(tmp_path / "top", "a.png").rename(tree / "top")
    (tree / "top" / "a.png").rename(tree / "a.png")
    flat = cli("predict", trained.run, tree, "--out", "flat")
    assert flat.out == "1 predictions written to flat\n"
    assert "subfolders are only searched with --recursive: day, night, top" in flat.err
    done = cli("predict", trained.run, tree, "--recursive", "--out", "deep", "--json")
    written = sorted(json.loads(done.out))
    assert written == ["deep/a.png", "deep/day/same.png", "deep/night/same.png"]
    assert all((tmp_path / file).is_file() for file in written)


def test_two_images_of_one_name_are_refused_with_both_named(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    one, two = photos(tmp_path / "one", "s.png"), photos(tmp_path / "two", "s.jpg")
    done = cli("predict", trained.run, one, two, "--out", "masks")
    assert (done.code, done.out) == (1, "")
    assert f"{one / 's.png'} and {two / 's.jpg'}" in done.err
    assert not (tmp_path / "masks").exists()
    named = cli("predict", trained.run, one, one / "s.png", "--out", "masks")
    assert named.out == "1 predictions written to masks\n"


def test_what_cannot_be_read_is_named_at_the_end_and_the_rest_is_written(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    folder = photos(tmp_path / "photos", "a.jpg", "z.jpg")
    (folder / "broken.jpg").write_text("no image")
    (folder / "phone.heic").write_text("ftypheic")
    done = cli("predict", trained.run, folder, folder / "phone.heic", "--out", "masks")
    assert (done.code, done.out) == (1, "")
    assert "got none for 2 of 4; 2 predictions were written to masks" in done.err
    assert "broken.jpg" in done.err
    assert "phone.heic" in done.err
    assert sorted(path.name for path in (tmp_path / "masks").glob("*.png")) == ["a.png", "z.png"]
    passed = cli("predict", trained.run, folder / "a.jpg", "--out", "masks")
    assert passed.code == 0


def test_what_is_left_out_of_a_folder_is_said(trained: Trained, cli: Cli, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", "a.jpg")
    (folder / "phone.heic").write_text("ftypheic")
    done = cli("predict", trained.run, folder, "--out", "masks")
    assert done.code == 0
    assert "files without an image suffix are left out: phone.heic" in done.err


def test_names_of_a_servers_folder_are_compared_before_anything_is_written(
    trained: Trained, cli: Cli, folder: Path, tmp_path: Path
) -> None:
    for kind in ("images", "masks"):
        for place in ("day", "night"):
            (folder / "val" / kind / place).mkdir()
            shutil.copy(folder / "val" / kind / "a.png", folder / "val" / kind / place / "c.png")
    words = [*folder_config(folder), "--split", "val", "--out", "masks"]
    done = cli("predict", trained.run, *words, "--format", "voc")
    assert (done.code, done.out) == (1, "")
    images = folder / "val" / "images"
    assert f"{images / 'day/c.png'} and {images / 'night/c.png'}" in done.err
    assert not (tmp_path / "masks").exists()
    done = cli("predict", trained.run, *words)
    assert done.out == "4 predictions written to masks\n"
    written = {name for name in contents(tmp_path / "masks") if name.endswith(".png")}
    assert written == {"a.png", "b.png", "day/c.png", "night/c.png"}
