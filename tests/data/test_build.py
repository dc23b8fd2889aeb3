"""Building a dataset from a flat config, and what the package offers."""

from pathlib import Path

import pytest

import segdistill.data as data
from segdistill.data import build_dataset
from segdistill.errors import ConfigError, DataError


def test_builds_a_split_from_a_flat_config(tree: Path) -> None:
    assert len(build_dataset({"dataset": "folder", "root": str(tree)}, split="train")) == 5
    drawn = build_dataset({"dataset": "scenes", "size": [32, 48], "val_images": 3}, split="val")
    assert (len(drawn), drawn[2].image.shape) == (3, (32, 48, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "camvit"}, "expected a known dataset, got 'camvit'; did you mean 'camvid'"),
        ({}, "expected a known dataset, got 'None'"),
        ({"dataset": "camvid"}, "expected root for camvid, got nothing; add data.root"),
        ({"dataset": "camvid", "rot": "x"}, "got 'rot'; did you mean 'root'"),
    ],
)
def test_refuses_a_config_that_cannot_be_built(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"build_dataset: .*{message}"):
        build_dataset(options, split="train")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        build_dataset({"dataset": "camvid", "root": str(tmp_path / "nowhere")}, split="train")


def test_no_public_name_is_that_of_a_module_which_would_hide_it() -> None:
    modules = {path.stem for path in Path(data.__file__).parent.glob("*.py")}
    assert modules.isdisjoint(data.__all__)


def test_every_public_name_can_be_imported() -> None:
    for name in data.__all__:
        assert getattr(data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = data.nothing


def test_a_folder_that_a_tool_exported_is_told_with_what_converts_it(tmp_path: Path) -> None:
    (tmp_path / "own/train").mkdir(parents=True)
    shapes = '{"shapes": [{"label": "car", "points": []}], "imagePath": "a.jpg"}'
    (tmp_path / "own/train/a.json").write_text(shapes)
    options = {"dataset": "folder", "root": tmp_path / "own"}
    with pytest.raises(DataError, match=r"labelme: train/a\.json.*segdistill convert .*own --out"):
        build_dataset(options, split="train")
    (tmp_path / "own/train/a.json").unlink()
    with pytest.raises(DataError, match=r"segdistill init .*own inspects the folder"):
        build_dataset(options, split="train")
