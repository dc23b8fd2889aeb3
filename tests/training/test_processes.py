"""Real processes: two that want one folder, launchers, and signals as schedulers send them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from tests.training.conftest import SMALL
from tests.training.two import in_two
from torch import nn
from torch.testing import assert_close

from segdistill.api.evaluate import evaluate
from segdistill.cli import build_app
from segdistill.config import RunConfig
from segdistill.errors import ConfigError, RunFolderError
from segdistill.runs.checkpoint import find_checkpoints
from segdistill.runs.confusion import read_image_counts
from segdistill.runs.layout import LOCK
from segdistill.runs.lock import hold_folder
from segdistill.runs.metrics import evaluation_lines, read_metrics, train_lines
from segdistill.runs.pictures import find_pictures
from segdistill.runs.result import has_result
from segdistill.runs.shifts import read_shifts
from segdistill.runs.student import student_file
from segdistill.scoring.evaluator import evaluate as score
from segdistill.training.build import open_split
from segdistill.training.events import Event, Progress
from segdistill.training.run import run_cohort
from segdistill.training.trained_student import load_student

Make = Callable[..., RunConfig]
COMMAND = [sys.executable, "-m", "segdistill"]


class Programs:
    """Command lines in a folder; what still runs at the end is killed, workers included."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun: list[subprocess.Popen[str]] = []

    def begin(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.begun.append(program)
        return program


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    (tmp_path / "f.yaml").write_text(yaml.safe_dump(SMALL))
    made = Programs(tmp_path)
    yield made
    for program in made.begun:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate()


def wait_for_checkpoint(run: Path, program: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 90
    while not find_checkpoints(run):
        assert program.poll() is None, program.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.02)


def endings(programs: Sequence[subprocess.Popen[str]]) -> list[str]:
    return [program.communicate(timeout=90)[0] for program in programs]


@pytest.mark.long
def test_two_runs_without_a_folder_get_one_each(programs: Programs) -> None:
    pair = [programs.begin("train", "f.yaml") for _ in range(2)]
    said = endings(pair)
    assert [program.returncode for program in pair] == [0, 0], said
    assert sorted(path.name for path in (programs.folder / "runs").iterdir()) == ["f-1", "f-2"]
    assert all(has_result(programs.folder / "runs" / name) for name in ("f-1", "f-2"))


def test_a_run_in_a_folder_that_is_being_written_is_refused(small: Make, tmp_path: Path) -> None:
    with (
        hold_folder(tmp_path / "r"),
        pytest.raises(RunFolderError, match=f"in use by process {os.getpid()} on"),
    ):
        run_cohort({"": small()}, tmp_path / "r", resume=True)
    run_cohort({"": small()}, tmp_path / "r", resume=True)
    assert has_result(tmp_path / "r")
    assert not (tmp_path / "r" / LOCK).exists()


def test_a_launcher_of_two_processes_is_not_two_runs_of_one(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(
            ConfigError, match="expected 2, the number of processes that the launcher started"
        ):
            run_cohort({"": small()}, tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.long
def test_a_signal_to_the_whole_group_leaves_a_checkpoint_and_a_resume_ends_the_run(
    programs: Programs,
) -> None:
    words = ("train", "f.yaml", "--out", "r", "data.workers=2", "training.steps=60")
    program = programs.begin(*words)
    wait_for_checkpoint(programs.folder / "r", program)
    os.killpg(program.pid, signal.SIGTERM)  # as schedulers do: the workers get it as well
    (said,) = endings([program])
    assert program.returncode == 130, said
    assert "continue with --resume" in said
    assert not (programs.folder / "r" / LOCK).exists()
    again = programs.begin(*words, "--resume")
    (said,) = endings([again])
    assert again.returncode == 0, said
    assert has_result(programs.folder / "r")


def shallow() -> nn.Module:
    """Return a network so shallow that rounding does not grow in it."""
    convolution = nn.Conv2d(3, 8, kernel_size=5, stride=4, padding=2)
    body = (convolution, nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2))
    return nn.Sequential(*body, nn.Conv2d(8, 11, kernel_size=1))


def test_one_process_goes_on_where_two_stopped_and_two_where_one_did(
    small: Make, tmp_path: Path
) -> None:
    words = ["training.log_every=1", "training.steps=4", "training.ema=0.5"]
    student = {"network": f"import:{__name__}:shallow"}
    sections = {"student": student, "distill": [{"loss": "pixelwise_kl"}]}
    config = small(*words, **sections)
    run_cohort({"": config}, tmp_path / "whole")

    def stop_after(step: int) -> Callable[[Event], None]:
        def tell(event: Event) -> None:
            # One of the two alone is told to stop, and not the one that writes.
            told = os.environ.get("RANK", "1") == "1"
            if told and isinstance(event, Progress) and event.done == step:
                os.kill(os.getpid(), signal.SIGTERM)

        return tell

    with pytest.raises(KeyboardInterrupt, match="stopped after step 1"):
        run_cohort({"": config}, tmp_path / "r", tell=stop_after(1))

    def go_on(_rank: int) -> None:
        two = small(*words, "training.devices=2", **sections)
        with pytest.raises(KeyboardInterrupt, match="stopped after step 3"):
            run_cohort({"": two}, tmp_path / "r", resume=True, tell=stop_after(3))

    in_two(go_on)
    assert 3 in find_checkpoints(tmp_path / "r")
    run_cohort({"": config}, tmp_path / "r", resume=True)
    steps = [line.step for line in train_lines(read_metrics(tmp_path / "r"))]
    assert steps == [1, 2, 3, 4]
    one, other = (load_file(student_file(tmp_path / name)) for name in ("whole", "r"))
    for name, weights in one.items():
        assert_close(other[name], weights, rtol=1e-5, atol=1e-5)


@pytest.mark.long
def test_two_processes_print_write_and_count_once(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["training.steps=2", "training.evaluate_every=1", "training.log_every=1"]
    words += ["teacher.shard=true", "evaluation.pictures=3", "evaluation.shifts={noise: [1]}"]
    Path("f.yaml").write_text(yaml.safe_dump(small(*words).tree()))

    def distil(rank: int) -> None:
        with (
            Path(f"out{rank}").open("w") as out,
            Path(f"err{rank}").open("w") as err,
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            build_app()(["distill", "f.yaml", "training.devices=2", "--out", "r", "--json"])
        assert not end.value.code

    in_two(distil)
    said = json.loads(Path("out0").read_text())
    assert Path("err0").read_text().count("step 1: val mIoU") == 1
    assert Path("err0").read_text().count("weights are sharded over 2 processes") == 1
    assert Path("out1").read_text() == ""
    assert "mIoU" not in Path("err1").read_text()
    scored = evaluate("r")
    assert (said["images"], said["pixels"]) == (scored.images, scored.pixels)
    assert said["miou"] == pytest.approx(scored.scores.miou)
    alone = score(load_student("r").network, open_split(small().data, "val"), further=True)
    assert said["calibration_error"] == pytest.approx(alone.calibration_error)
    assert said["boundary_iou"] == pytest.approx(alone.boundary_iou)
    assert list(read_shifts(Path("r"))) == ["noise 1"]
    assert 3 <= len(find_pictures(Path("r"))) <= 3 + 2
    counts = read_image_counts(Path("r"))
    assert counts is not None
    assert counts.names == tuple(image.name for image in open_split(small().data, "val"))
    assert counts.counts.sum(axis=0).tolist() == scored.counts.tolist()
    assert [line.step for line in evaluation_lines(read_metrics(Path("r")))] == [1, 2]
