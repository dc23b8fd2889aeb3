"""A step that diverged: named at once, kept small, and taken again by one command."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from segdistill import config as configs
from segdistill.config import RunConfig
from segdistill.errors import (
    CheckpointError,
    ConfigError,
    RunFolderError,
    SegdistillError,
    TrainingDivergedError,
)
from segdistill.models.segmenter import Segmenter
from segdistill.runs.checkpoint import find_checkpoints, read_state
from segdistill.runs.layout import REPLAY
from segdistill.runs.replay import read_step, write_step
from segdistill.runs.settings import read_settings, write_settings
from segdistill.training import replay as replaying
from segdistill.training.adversary import Adversaries
from segdistill.training.replay import replay
from segdistill.training.run import run_cohort
from segdistill.types import SegOutput

from .conftest import SMALL

Make = Callable[..., RunConfig]


def diverge(config: RunConfig, folder: Path) -> TrainingDivergedError:
    with pytest.raises(TrainingDivergedError) as raised:
        run_cohort({"": config}, folder)
    return raised.value


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingDivergedError]:
    folder = tmp_path_factory.mktemp("diverged") / "run"
    words = ("training.lr=1e30", "training.checkpoint_every=1")
    return folder, diverge(configs.check(configs.override(SMALL, words)), folder)


@pytest.fixture
def run(diverged: tuple[Path, TrainingDivergedError], tmp_path: Path) -> Path:
    """Return a copy of the run, to be changed."""
    return shutil.copytree(diverged[0], tmp_path / "run")


def test_a_step_that_diverged_is_kept_and_diverges_again(
    diverged: tuple[Path, TrainingDivergedError],
) -> None:
    run, error = diverged
    assert (run / REPLAY).stat().st_size < 20e6
    again = replay(run)
    assert again.step == error.step
    message, _, command = str(error).partition("; examine the step with: ")
    assert (again.error, command) == (message, f"segdistill replay {run}")
    assert again.first
    assert max(find_checkpoints(run)) <= again.step


def test_the_teachers_maps_are_kept_and_stand_for_it(
    run: Path, small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = read_step(run)
    assert kept.maps is not None
    tree = read_settings(run)
    write_settings(run, tree | {"teacher": tree["teacher"] | {"weights": "gone.safetensors"}})
    with_maps = replay(run)
    write_step(run, replace(kept, maps=None))
    write_settings(run, tree)
    with_teacher = replay(run)
    assert (with_maps.step, with_maps.error) == (with_teacher.step, with_teacher.error)
    assert with_maps.first == with_teacher.first


def test_maps_that_are_too_large_are_left_out() -> None:
    def teacher(images: Tensor) -> dict[str, Tensor]:
        return {"logits": images[:, :2, :4], "head": images}

    fabric, parts = Fabric(accelerator="cpu"), torch.zeros(4, 3, 8, 8, dtype=torch.uint8).chunk(2)
    maps = replaying._maps_of(cast("Any", teacher), ["logits"], parts, fabric, 4 * 2 * 4 * 8 * 4)
    assert maps is not None
    assert {tap: tuple(values.shape) for tap, values in maps.items()} == {"logits": (4, 2, 4, 8)}
    assert (
        replaying._maps_of(cast("Any", teacher), ["logits"], parts, fabric, 4 * 2 * 4 * 8 * 4 - 1)
        is None
    )


def test_parts_of_a_batch_get_their_own_maps(small: Make, tmp_path: Path) -> None:
    error = diverge(small("training.lr=1e30", "training.accumulate=2"), tmp_path / "run")
    again = replay(tmp_path / "run")
    assert again.error == str(error).partition("; examine the step")[0]


def test_a_state_that_is_too_large_is_not_kept(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "MOST_MIB", 0)
    assert "replay" not in str(diverge(small("training.lr=1e30"), tmp_path / "run"))
    with pytest.raises(RunFolderError, match=r"one without replay\.pt"):
        replay(tmp_path / "run")


Change = Callable[[dict[str, Any]], Any]
WRONG: dict[str, tuple[Change, str]] = {
    "a list": (lambda kept: [kept], "expected a replay file, got list"),
    "a step alone": (lambda kept: {"step": 0}, "expected a value at 'student', got none"),
    "another step": (lambda kept: kept | {"step": 6}, "expected a step of the run, 0 to 5, got 6"),
    "a later format": (lambda kept: kept | {"format": 99}, "expected format 1 or older, got 99"),
    "no labels": (
        lambda kept: kept | {"batch": {"images": kept["batch"]["images"]}},
        r"expected labels \(4, 32, 48\) of torch.int64 in the batch, got none",
    ),
    "floats": (
        lambda kept: kept | {"batch": kept["batch"] | {"images": torch.zeros(4, 3, 32, 48)}},
        r"expected images \(4, 3, 32, 48\) of torch.uint8 in the batch, got .*float32",
    ),
    "a class too many": (
        lambda kept: kept | {"batch": kept["batch"] | {"labels": torch.full((4, 32, 48), 200)}},
        "expected labels of 11 classes or 255, got 200",
    ),
    "no maps": (lambda kept: kept | {"maps": {}}, "expected the teacher's map .*, got none"),
    "no weights": (lambda kept: kept | {"state": {}}, "expected the state of this run, got .*Key"),
    "other weights": (
        lambda kept: kept | {"state": kept["state"] | {"network": {"a": torch.zeros(1)}}},
        "expected the state of this run, got another .RuntimeError",
    ),
    "no network": (lambda kept: kept | {"student": {}}, r"replay\.pt: network in the metadata"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_file_is_refused_in_one_line(wrong: str, run: Path) -> None:
    change, message = WRONG[wrong]
    content = io.BytesIO()
    torch.save(change(read_state(run / REPLAY, "replay file")), content)
    (run / REPLAY).write_bytes(sha256(content.getvalue()).digest() + content.getvalue())
    with pytest.raises(SegdistillError, match=message) as raised:
        replay(run)
    assert str(run / REPLAY) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"junk" * 20])
def test_a_broken_file_is_refused(content: bytes, run: Path) -> None:
    (run / REPLAY).write_bytes(content)
    with pytest.raises(CheckpointError, match="expected an intact replay file"):
        replay(run)


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("student", {"network": "import:evilmod:make"}),
        ("teacher", {"network": "import:evilmod:make"}),
        ("distill", [{"loss": "import:evilmod:make", "tap": "logits", "weight": 1.0}]),
        ("data", {"dataset": "import:evilmod:make", "crop": [32, 48], "batch_size": 4}),
    ],
)
def test_code_that_the_folder_names_is_not_run(
    section: str, value: object, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evilmod.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    write_settings(run, read_settings(run) | {section: value, "trust": ["import:evilmod:make"]})
    if section == "student":
        write_step(run, replace(read_step(run), student={"network": "import:evilmod:make"}))
    with pytest.raises(ConfigError, match="--trust import:evilmod:make"):
        replay(run)
    assert not (tmp_path / "ran").exists()


def test_a_critic_that_runs_away_is_named_in_its_step_and_nothing_is_saved(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = Adversaries.losses

    def explode(adversaries: Adversaries) -> dict[str, Tensor]:
        return {name: value + float("inf") for name, value in losses(adversaries).items()}

    monkeypatch.setattr(Adversaries, "losses", explode)
    config = small("training.checkpoint_every=1", distill=[{"loss": "holistic"}])
    with pytest.raises(TrainingDivergedError, match=r"got holistic\.critic = inf at step 0"):
        run_cohort({"": config}, tmp_path / "run")
    assert not find_checkpoints(tmp_path / "run")


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_logits_that_overflow_are_named_in_their_step_and_the_last_good_state_stays(
    value: float, small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Segmenter.forward
    calls = []

    def overflow(network: Segmenter, images: Tensor) -> SegOutput:
        output = forward(network, images)
        calls.append(network.training)
        if not network.training or sum(calls) != 3:
            return output  # the teacher's, and the student's but for its third step
        logits = output.logits.clone()
        logits[:, :, 0, 0] = value  # as in half precision beyond 65504
        return output._replace(logits=logits)

    monkeypatch.setattr(Segmenter, "forward", overflow)
    config = small("training.checkpoint_every=1")
    with pytest.raises(TrainingDivergedError, match=r"expected a finite loss, got .* at step 2"):
        run_cohort({"": config}, tmp_path / "run")
    assert max(find_checkpoints(tmp_path / "run")) == 2
    assert (tmp_path / "run" / REPLAY).exists()
