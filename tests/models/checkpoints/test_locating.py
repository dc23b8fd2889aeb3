"""Weights in installed packages and folders."""

import sys
from pathlib import Path

import pytest
import timm
import torch
from torch.testing import assert_close

from segdistill.errors import CheckpointError
from segdistill.models import build_network
from segdistill.models.checkpoints.locating import weight_file


def install(site: Path, name: str, files: list[str]) -> None:
    """Lay a package out as pip does; importing it would fail."""
    folder = site / name.replace("-", "_")
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir()
    info.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('code of a package was run')")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    listed = [f"{folder.name}/__init__.py", *(f"{folder.name}/{file}" for file in files)]
    (info / "RECORD").write_text("".join(f"{each},,\n" for each in listed))


def test_a_package_gives_its_file_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "lite-model", ["models/a.pth"])
    state = timm.create_model("mobilenetv2_035").state_dict()
    (tmp_path / "lite_model" / "models").mkdir()
    torch.save(state, tmp_path / "lite_model" / "models" / "a.pth")
    settings = {"network": "lraspp", "backbone": "mobilenetv2_035"}
    said: list[str] = []
    built = build_network(
        settings | {"backbone_weights": "package:lite-model"}, classes=3, tell=said.append
    )
    assert_close(built.backbone.body.conv_stem.weight, state["conv_stem.weight"])
    assert said[0].startswith("package:lite-model: ")
    assert "lite_model" not in sys.modules


def test_of_several_files_a_part_of_the_path_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "two-models", ["small.pth", "large.pth"])
    for file in ("small.pth", "large.pth"):  # Python 3.12 leaves out what is listed but not there
        (tmp_path / "two_models" / file).touch()
    assert weight_file("package:two-models/large").name == "large.pth"
    with pytest.raises(CheckpointError, match=r"got two_models/small.pth, two_models/large.pth"):
        weight_file("package:two-models")
    with pytest.raises(CheckpointError, match="got none"):
        weight_file("package:two-models/huge")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pip install no-such-package"):
        weight_file("package:no-such-package")
    with pytest.raises(FileNotFoundError, match="expected a file at"):
        weight_file(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"a folder without model.safetensors or"):
        weight_file(tmp_path)
