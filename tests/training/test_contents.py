"""Contents of a config's files: known by hash, wherever they lie."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segdistill.config import RunConfig
from segdistill.training import contents
from segdistill.training.contents import contents_of

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
