"""Resuming: the same run goes on, another is refused by key, more steps extend it."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from segdistill.config import RunConfig
from segdistill.errors import RunFolderError
from segdistill.models import build_network, save_network
from segdistill.runs.identity import read_identity
from segdistill.runs.layout import IDENTITY
from segdistill.runs.metrics import read_metrics, train_lines
from segdistill.runs.result import find_end, read_result
from segdistill.runs.settings import read_settings
from segdistill.runs.student import student_file
from segdistill.training.events import Event, Note, Progress
from segdistill.training.run import run_cohort

Make = Callable[..., RunConfig]

NAMES = ("sky", "road", "car")


def stop_at(step: int) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.done == step:
            raise KeyboardInterrupt

    return tell


def begin(config: RunConfig, run: Path, step: int = 6) -> None:
    """Train a run until it has a checkpoint after step 4, and stop it."""
    with pytest.raises(KeyboardInterrupt):
        run_cohort({"": config}, run, tell=stop_at(step))


def go_on(config: RunConfig, run: Path) -> list[str]:
    said: list[str] = []
    run_cohort(
        {"": config},
        run,
        resume=True,
        tell=lambda event: said.append(event.text) if isinstance(event, Note) else None,
    )
    return said


def assert_same_bits(one: Path, other: Path) -> None:
    first, second = load_file(student_file(one)), load_file(student_file(other))
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def write_data(root: Path, names: tuple[str, ...] = NAMES) -> None:
    """Write images of bands of a colour each, and masks that number the classes as named."""
    for split, count in (("train", 4), ("val", 2)):
        for folder in ("images", "masks"):
            (root / split / folder).mkdir(parents=True, exist_ok=True)
        for place in range(count):
            ids = np.repeat(np.arange(3), 16)[:, None].repeat(64, axis=1)
            colors = np.array([[60, 110, 200], [90, 90, 80], [200, 60 + place, 50]], np.uint8)
            numbers = np.array([names.index(name) for name in NAMES], np.uint8)
            Image.fromarray(colors[ids]).save(root / split / "images" / f"{place}.png")
            Image.fromarray(numbers[ids]).save(root / split / "masks" / f"{place}.png")
    (root / "classes.txt").write_text("\n".join(names) + "\n")


@pytest.fixture
def own(small: Make) -> Callable[..., RunConfig]:
    """Return a function from a folder of data and words to a config without a teacher."""

    def make(root: Path, *words: str) -> RunConfig:
        data = f"data={{dataset: folder, root: {root}, crop: [32, 48], batch_size: 4}}"
        return small(data, "teacher=null", *words, distill=[])

    return make


def test_other_settings_are_refused_by_key_and_value(small: Make, tmp_path: Path) -> None:
    begin(small(), tmp_path / "run")
    words = r"training\.lr 0\.02 \(now 0\.01\), training\.seed 0 \(now 3\); restore them"
    with pytest.raises(RunFolderError, match=words):
        go_on(small("training.lr=0.01", "training.seed=3"), tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"training\.steps 6 \(now 5\)"):
        go_on(small("training.steps=5"), tmp_path / "run")


def test_what_changes_no_weights_goes_on_and_is_said(small: Make, tmp_path: Path) -> None:
    begin(small(), tmp_path / "run")
    said = go_on(
        small("training.evaluate_every=5", "training.device=auto", "evaluation.flip=true"),
        tmp_path / "run",
    )
    assert any("training.evaluate_every none (now 5)" in text for text in said)
    assert "resuming after step 4" in said
    run_cohort({"": small()}, tmp_path / "whole")
    assert_same_bits(tmp_path / "run", tmp_path / "whole")


def test_data_that_moved_are_the_same_data(own: Make, tmp_path: Path) -> None:
    write_data(tmp_path / "here")
    begin(own(tmp_path / "here"), tmp_path / "run")
    (tmp_path / "here").rename(tmp_path / "there")
    assert "resuming after step 4" in go_on(own(tmp_path / "there"), tmp_path / "run")
    assert read_settings(tmp_path / "run")["data"]["root"] == str(tmp_path / "there")


def test_classes_in_another_order_are_refused(own: Make, tmp_path: Path) -> None:
    write_data(tmp_path / "data")
    begin(own(tmp_path / "data"), tmp_path / "run")
    write_data(tmp_path / "data", ("car", "road", "sky"))
    with pytest.raises(RunFolderError, match=r"started \(sky, road, car\), got car, road, sky;"):
        go_on(own(tmp_path / "data"), tmp_path / "run")


def test_other_training_images_are_refused(own: Make, tmp_path: Path) -> None:
    write_data(tmp_path / "data")
    begin(own(tmp_path / "data"), tmp_path / "run")
    for folder in ("images", "masks"):
        files = tmp_path / "data" / "train" / folder
        shutil.copy(files / "0.png", files / "9.png")
    with pytest.raises(
        RunFolderError, match=r"others \(SHA-256\): data\.images [0-9a-f]{12} \(now"
    ):
        go_on(own(tmp_path / "data"), tmp_path / "run")


def test_a_replaced_teacher_is_refused(small: Make, tmp_path: Path) -> None:
    file = tmp_path / "t.safetensors"
    config = small(f"teacher.weights={file}", "teacher.untrained=false")
    assert config.teacher is not None
    section = config.teacher.model_copy(update={"weights": None})
    save_network(file, build_network(section, classes=11, seed=0), {})
    begin(config, tmp_path / "run")
    first = file.read_bytes()
    save_network(file, build_network(section, classes=11, seed=1), {})
    words = r"others \(SHA-256\): teacher\.weights [0-9a-f]{12} \(now [0-9a-f]{12}\); restore them"
    with pytest.raises(RunFolderError, match=words):
        go_on(config, tmp_path / "run")
    file.unlink()
    (tmp_path / "moved.safetensors").write_bytes(first)
    moved = small(f"teacher.weights={tmp_path / 'moved.safetensors'}", "teacher.untrained=false")
    assert "resuming after step 4" in go_on(moved, tmp_path / "run")


NETWORK = """
from torch import nn
def build(): return nn.Conv2d(3, 11, {kernel}, padding={padding})
"""


def test_changed_own_code_is_another_run(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_code_of_a_test", raising=False)
    module = tmp_path / "own_code_of_a_test.py"
    module.write_text(NETWORK.format(kernel=3, padding=1))
    config = small("student={network: 'import:own_code_of_a_test:build'}", distill=[])
    run_cohort({"": config}, tmp_path / "run")
    module.write_text(NETWORK.format(kernel=5, padding=2))
    with pytest.raises(RunFolderError, match=r"others \(SHA-256\): student\.network"):
        go_on(config, tmp_path / "run")


def test_more_steps_extend_a_finished_run(small: Make, tmp_path: Path) -> None:
    run_cohort({"": small()}, tmp_path / "run")
    longer = small("training.steps=8")
    with pytest.raises(RunFolderError, match=r"6 \(now 8\); extend it with --resume"):
        run_cohort({"": longer}, tmp_path / "run")
    assert find_end(tmp_path / "run") == "done"
    said = go_on(longer, tmp_path / "run")
    assert any("extended from 6 to 8 steps; from step 6 the learning rate" in t for t in said)
    result = read_result(tmp_path / "run")
    assert (result.step, result.steps) == (8, 8)
    rates = {line.step: line.lr for line in train_lines(read_metrics(tmp_path / "run"))}
    assert rates[4] == pytest.approx(0.02 * (1 - 3 / 6) ** 0.9)
    assert rates[8] == pytest.approx(0.02 * (1 - 7 / 8) ** 0.9)
    identity = read_identity(tmp_path / "run")
    assert identity is not None
    assert identity.extended == (6,)
    assert go_on(longer, tmp_path / "run") == [
        f"{tmp_path / 'run'}: this run is finished; nothing to do"
    ]


def test_more_steps_extend_an_interrupted_run(small: Make, tmp_path: Path) -> None:
    begin(small(), tmp_path / "run")
    said = go_on(small("training.steps=8"), tmp_path / "run")
    assert any("extended from 6 to 8 steps; from step 4 the learning rate" in text for text in said)
    assert read_result(tmp_path / "run").step == 8


def test_a_finished_run_says_that_it_was_scored_otherwise(small: Make, tmp_path: Path) -> None:
    run_cohort({"": small()}, tmp_path / "run")
    said = go_on(small("evaluation.flip=true"), tmp_path / "run")
    assert "another evaluation.flip False (now True); score it again" in said[0]
    assert said[1].endswith("this run is finished; nothing to do")


def test_a_folder_of_an_older_release_goes_on(small: Make, tmp_path: Path) -> None:
    begin(small(), tmp_path / "run")
    (tmp_path / "run" / IDENTITY).unlink()
    said = go_on(small(), tmp_path / "run")
    assert any("started by an older segdistill, which recorded no hashes" in text for text in said)
    assert find_end(tmp_path / "run") == "done"
    stored = json.loads((tmp_path / "run" / IDENTITY).read_text())
    assert len(stored["classes"]) == 11


def test_settings_that_this_release_does_not_know_are_refused_by_name(
    small: Make, tmp_path: Path
) -> None:
    begin(small(), tmp_path / "run")
    file = tmp_path / "run" / "resolved.yaml"
    file.write_text(file.read_text() + "later: 1\n")
    with pytest.raises(RunFolderError, match=r"got another: unknown key 'later'"):
        go_on(small(), tmp_path / "run")


@pytest.mark.long
def test_the_bits_of_an_extension_are_those_of_one_that_was_never_stopped(
    small: Make, tmp_path: Path
) -> None:
    run_cohort({"": small()}, tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    longer = small("training.steps=10")
    go_on(longer, tmp_path / "one")
    with pytest.raises(KeyboardInterrupt):
        run_cohort({"": longer}, tmp_path / "two", resume=True, tell=stop_at(10))
    go_on(longer, tmp_path / "two")
    assert_same_bits(tmp_path / "one", tmp_path / "two")
