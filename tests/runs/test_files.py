"""The other files of a run folder: settings, environment, confusion, pictures, student."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from segdistill.errors import CheckpointError, RunFolderError
from segdistill.runs.confusion import (
    Confusion,
    ImageCounts,
    read_confusion,
    read_image_counts,
    write_confusion,
    write_image_counts,
)
from segdistill.runs.environment import Environment, read_environment, write_environment
from segdistill.runs.layout import IMAGE_COUNTS
from segdistill.runs.pictures import find_pictures, picture_file
from segdistill.runs.settings import (
    Args,
    has_settings,
    read_args,
    read_settings,
    read_settings_text,
    write_args,
    write_settings,
)
from segdistill.runs.student import (
    Student,
    best_file,
    read_student,
    run_of,
    student_file,
    write_student,
)

STUDENT = Student({"network": "fcn", "width": 16}, ("road", "sky"), ((1, 2, 3), (4, 5, 6)), "5eed")


def test_the_package_loads_no_torch() -> None:
    names = [file.stem for file in Path(sys.modules["segdistill.runs"].__path__[0]).glob("*.py")]
    modules = ", ".join(f"segdistill.runs.{name}" for name in names if name != "__init__")
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert len(names) > 10
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_settings_and_args_come_back(tmp_path: Path) -> None:
    assert (has_settings(tmp_path), read_args(tmp_path), read_settings_text(tmp_path)) == (
        False,
        None,
        "",
    )
    tree = {"training": {"steps": 3}, "data": {"root": "a b", "flip": None}}
    args = Args("distill", "a.yaml", ("training.lr=0.1",), {"out": "/runs/ü"})
    write_settings(tmp_path, tree)
    write_args(tmp_path, args)
    assert read_settings(tmp_path) == tree
    assert read_settings_text(tmp_path).startswith("training:\n  steps: 3\n")
    assert read_args(tmp_path) == args


def test_the_environment_comes_back(tmp_path: Path) -> None:
    assert read_environment(tmp_path) == Environment()
    whole = Environment(
        config_hash="5eed", threads=2, packages={"torch": "2.12.1"}, command=("segdistill", "train")
    )
    write_environment(tmp_path, whole)
    assert read_environment(tmp_path) == whole


def test_confusion_matrices_come_back(tmp_path: Path) -> None:
    assert read_confusion(tmp_path) is None
    assert read_image_counts(tmp_path) is None
    confusion = Confusion(("road", "sky"), ((3, 1), (0, 2**40)))
    counts = np.arange(12, dtype=np.int64).reshape(3, 2, 2)
    write_confusion(tmp_path, confusion)
    write_image_counts(tmp_path, ImageCounts(("a", "b", "c"), counts))
    assert read_confusion(tmp_path) == confusion
    found = read_image_counts(tmp_path)
    assert found is not None
    assert found.names == ("a", "b", "c")
    np.testing.assert_array_equal(found.counts, counts)


def test_image_counts_that_do_not_fit_their_names_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / IMAGE_COUNTS, counts=np.zeros((2, 3, 3)), names=np.array(["a"]))
    with pytest.raises(RunFolderError, match=r"expected counts \(N, K, K\) and N names"):
        read_image_counts(tmp_path)


def test_pictures_are_found_by_image_and_kind(tmp_path: Path) -> None:
    assert find_pictures(tmp_path) == {}
    for image in ("street_1", "bonn/bonn_000"):
        for kind in ("input", "truth", "prediction"):
            file = picture_file(tmp_path, image, kind)  # type: ignore[arg-type]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    picture_file(tmp_path, "alone", "input").touch()
    found = find_pictures(tmp_path)
    assert list(found) == ["bonn/bonn_000", "street_1"]
    assert found["street_1"]["truth"] == picture_file(tmp_path, "street_1", "truth")


def test_a_picture_of_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a name that stays below this folder"):
        picture_file(tmp_path, "../../photo", "input")


def test_a_student_comes_back_with_its_weights(tmp_path: Path) -> None:
    network = nn.Conv2d(2, 3, 1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    write_student(student_file(tmp_path), network, STUDENT)
    assert read_student(student_file(tmp_path)) == STUDENT
    assert torch.equal(load_file(student_file(tmp_path))["weight"], network.weight)
    assert run_of(student_file(tmp_path)) == run_of(best_file(tmp_path)) == tmp_path


def test_a_student_whose_colours_are_not_its_classes_is_refused(tmp_path: Path) -> None:
    wrong = replace(STUDENT, colors=STUDENT.colors * 2)
    write_student(student_file(tmp_path), nn.Linear(2, 2), wrong)
    with pytest.raises(RunFolderError, match="expected one colour per class, got 4 for 2 in the m"):
        read_student(student_file(tmp_path))


def test_a_file_that_no_run_wrote_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(1)}, tmp_path / "own.safetensors")
    with pytest.raises(CheckpointError, match=r"use the model\.safetensors of a run"):
        read_student(tmp_path / "own.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_student(tmp_path / "cut.safetensors")
