"""Locks: one writer for each folder, real processes at a time, and nothing left of dead ones."""

import errno
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from segdistill.errors import OverwriteError, RunFolderError
from segdistill.files import sweep
from segdistill.runs.layout import ADDED_TO, CHECKPOINTS, LOCK, WRITTEN_INTO
from segdistill.runs.lock import (
    Writer,
    began_of,
    claim_numbered,
    hold,
    hold_folder,
    is_first_process,
)

FORK = multiprocessing.get_context("fork")


def in_child(work: Callable[[], object]) -> multiprocessing.process.BaseProcess:
    child = FORK.Process(target=work)
    child.start()
    return child


def hold_until_killed(folder: Path, ready: Connection) -> None:
    with hold_folder(folder):
        ready.send("held")
        signal.pause()


@pytest.fixture
def held(tmp_path: Path) -> Callable[[], multiprocessing.process.BaseProcess]:
    def begin() -> multiprocessing.process.BaseProcess:
        ours, theirs = FORK.Pipe()
        child = in_child(lambda: hold_until_killed(tmp_path / "run", theirs))
        assert ours.poll(20)
        return child

    return begin


def test_a_folder_that_a_process_writes_is_refused_with_its_number(
    held: Callable[[], multiprocessing.process.BaseProcess], tmp_path: Path
) -> None:
    child = held()
    with (
        pytest.raises(RunFolderError, match=rf"in use by process {child.pid} on .* since 20"),
        hold_folder(tmp_path / "run"),
    ):
        pass
    child.kill()
    child.join()


def test_the_lock_of_a_killed_process_is_taken_over_and_its_half_files_go(
    held: Callable[[], multiprocessing.process.BaseProcess], tmp_path: Path
) -> None:
    child = held()
    folder = tmp_path / "run"
    (folder / CHECKPOINTS).mkdir()
    half = folder / CHECKPOINTS / f".step-00000002.pt.{child.pid}.tmp"
    half.write_text("ha")
    child.kill()
    child.join()
    with hold_folder(folder):
        assert json.loads((folder / LOCK).read_text())["pid"] == os.getpid()
        assert not half.exists()
    assert not (folder / LOCK).exists()


def test_a_process_that_got_the_number_of_a_dead_one_is_no_holder(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", tmp_path):
        own = json.loads((tmp_path / "lock").read_text())
    (tmp_path / "lock").write_text(json.dumps(own | {"began": "another boot 1"}))
    with hold(tmp_path / "lock", tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["began"] == own["began"]


def test_a_lock_of_another_machine_is_refused_with_the_file_to_delete(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", tmp_path):
        tree = json.loads((tmp_path / "lock").read_text()) | {"host": "elsewhere"}
    (tmp_path / "lock").write_text(json.dumps(tree))
    refusal = pytest.raises(
        RunFolderError, match=r"on elsewhere .* if that process has ended, delete"
    )
    with refusal, hold(tmp_path / "lock", tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_hard_links_has_locks(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number), str(source), None, str(target))

    monkeypatch.setattr(os, "link", refuse)
    with hold(tmp_path / "lock", tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
        again = pytest.raises(RunFolderError, match=f"in use by process {os.getpid()} on")
        with again, hold(tmp_path / "lock", tmp_path):
            pass
        assert (tmp_path / "lock").exists()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [*WRITTEN_INTO, *ADDED_TO])
def test_a_link_in_a_folder_is_refused_before_anything_is_written(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises((ValueError, OverwriteError), match=rf"{name}.*a link .*remove the link"),
        hold_folder(folder),
    ):
        pass
    assert os.listdir(folder) == [name]
    assert not os.listdir(tmp_path / "elsewhere")


def test_of_many_processes_at_once_one_gets_the_lock(tmp_path: Path) -> None:
    def attempt() -> None:
        begin.wait()
        try:
            with hold(tmp_path / "lock", tmp_path):
                (tmp_path / f"got-{os.getpid()}").touch()
                done.wait()
        except RunFolderError:
            done.wait()

    # A stale one lies there, so that all find it at once.
    stale = Writer(pid=2**22 + 1, host=os.uname().nodename, began="x", since="y")
    (tmp_path / "lock").write_text(json.dumps(stale.__dict__))
    begin, done = FORK.Barrier(6), FORK.Barrier(6)
    children = [in_child(attempt) for _ in range(6)]
    for child in children:
        child.join(30)
    assert len([*tmp_path.glob("got-*")]) == 1
    assert [child.exitcode for child in children] == [0] * 6


def test_many_processes_claim_as_many_numbers(tmp_path: Path) -> None:
    def claim() -> None:
        begin.wait()
        (claim_numbered(tmp_path / "runs", "f") / f"{os.getpid()}").touch()

    begin = FORK.Barrier(8)
    children = [in_child(claim) for _ in range(8)]
    for child in children:
        child.join(30)
    folders = sorted((tmp_path / "runs").iterdir())
    assert [folder.name for folder in folders] == [f"f-{number}" for number in range(1, 9)]
    assert all(len([*folder.iterdir()]) == 1 for folder in folders)


def test_a_folder_made_for_a_run_that_is_refused_goes_again(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="refused"), hold_folder(tmp_path / "run"):
        raise ValueError("refused")
    assert not (tmp_path / "run").exists()
    (tmp_path / "own").mkdir()
    with pytest.raises(ValueError, match="refused"), hold_folder(tmp_path / "own"):
        raise ValueError("refused")
    assert (tmp_path / "own").exists()


def test_files_that_a_running_process_is_writing_are_not_swept(tmp_path: Path) -> None:
    parent = tmp_path / f".page.html.{os.getppid()}.tmp"
    own = tmp_path / f".page.html.{os.getpid()}.tmp"
    foreign = tmp_path / ".notes.tmp"
    for file in (parent, own, foreign):
        file.touch()
    sweep(tmp_path)
    assert parent.exists()
    assert own.exists()
    assert foreign.exists()
    os.utime(own, (0, 0))  # of a container whose processes have the same numbers each time
    sweep(tmp_path)
    assert not own.exists()


def test_when_a_process_began_is_known_while_it_runs() -> None:
    child = in_child(signal.pause)
    assert child.pid is not None
    assert began_of(child.pid) == began_of(child.pid) != ""
    assert began_of(child.pid) != began_of(os.getppid())
    child.kill()
    child.join()
    assert began_of(child.pid) == ""


def test_the_first_of_several_processes_is_the_one_that_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert is_first_process()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not is_first_process()
