"""Real processes: two that want one folder, launchers, and signals as schedulers send them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from segdistill.config import RunConfig
from segdistill.errors import ConfigError, RunFolderError
from segdistill.runs.layout import LOCK
from segdistill.runs.lock import hold_folder
from segdistill.runs.result import has_result
from segdistill.training.run import run_cohort
from tests.training.conftest import SMALL

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


def endings(programs: Sequence[subprocess.Popen[str]]) -> list[str]:
    return [program.communicate(timeout=90)[0] for program in programs]


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
        with pytest.raises(ConfigError, match="expected 2, as many as WORLD_SIZE says"):
            run_cohort({"": small()}, tmp_path / "r")
    assert not (tmp_path / "r").exists()
