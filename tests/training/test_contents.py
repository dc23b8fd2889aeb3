"""Contents of a config's files: known by hash, wherever they lie."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.config import RunConfig
from segdistill.data.formats.folder import folder
from segdistill.training import contents
from segdistill.training.contents import MOST_MASKS, contents_of, contents_of_split

Make = Callable[..., RunConfig]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_weights_are_known_by_their_bytes(small: Make, tmp_path: Path) -> None:
    (tmp_path / "t.pth").write_bytes(b"teacher")
    (tmp_path / "b.pth").write_bytes(b"backbone")
    words = (f"teacher.weights={tmp_path}/t.pth", f"student.backbone_weights={tmp_path}/b.pth")
    expected = {
        "teacher.weights": sha256(b"teacher"),
        "student.backbone_weights": sha256(b"backbone"),
    }
    assert contents_of(small(*words)) == expected
    plain = small(*words, distill=[])
    assert list(contents_of(plain)) == ["student.backbone_weights"]


def test_own_code_is_known_by_its_source(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "ownnet", raising=False)
    for source in (b"width = 8\n", b"width = 16\n"):
        (tmp_path / "ownnet.py").write_bytes(source)
        config = small("student={network: 'import:ownnet:build'}")
        assert contents_of(config) == {"student.network": sha256(source)}


def test_a_folder_is_known_by_weights_and_config(small: Make, tmp_path: Path) -> None:
    def of_folder() -> str:
        config = small(f"teacher={{network: 'hf:{tmp_path}'}}")
        return contents_of(config)["teacher.network"]

    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    before = of_folder()
    (tmp_path / "README.md").write_text("words")
    assert of_folder() == before
    (tmp_path / "config.json").write_text('{"num_labels": 3}')
    assert of_folder() != before


def test_a_file_that_runs_share_is_read_once(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.pth").write_bytes(b"shared teacher")
    read: list[object] = []
    digest = hashlib.file_digest

    def counted(file: object, name: str) -> object:
        read.append(file)
        return digest(file, name)  # type: ignore[arg-type]

    monkeypatch.setattr(contents.hashlib, "file_digest", counted)
    for seed in range(4):
        contents_of(small(f"teacher.weights={tmp_path}/t.pth", f"training.seed={seed}"))
    assert len(read) == 1


def write_split(root: Path, values: tuple[int, int], *, suffix: str = "png") -> None:
    for part in ("images", "masks"):
        (root / "train" / part).mkdir(parents=True, exist_ok=True)
    for index in range(2 * MOST_MASKS):
        mask = np.where(np.arange(12) < 6 + index % 3, *values).astype(np.uint8)
        Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(root / f"train/images/{index}.png")
        Image.fromarray(np.tile(mask, (8, 1))).save(root / f"train/masks/{index}.{suffix}")
    (root / "classes.txt").write_text("left\nright\n")


def test_data_are_known_by_their_masks(tmp_path: Path) -> None:
    for name, values, suffix in (
        ("v1", (0, 1), "png"),
        ("v2", (1, 0), "png"),
        ("v3", (0, 1), "bmp"),
    ):
        write_split(tmp_path / name, values, suffix=suffix)
    first, inverted, stored_otherwise = (
        contents_of_split(folder(split="train", root=tmp_path / name))
        for name in ("v1", "v2", "v3")
    )
    assert first["data.images"] == inverted["data.images"]
    assert first["data.masks"] != inverted["data.masks"]
    assert first == stored_otherwise


def test_a_mask_that_cannot_be_read_may_be_repaired(tmp_path: Path) -> None:
    write_split(tmp_path, (0, 1))
    for mask in (tmp_path / "train/masks").iterdir():
        mask.write_bytes(mask.read_bytes()[:40])
    assert list(contents_of_split(folder(split="train", root=tmp_path))) == ["data.images"]
