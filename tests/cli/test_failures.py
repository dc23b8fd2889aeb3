"""Whatever goes wrong ends in words: the right code, where it was, and never a traceback."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import typer

from segdistill.api import evaluate as scoring
from segdistill.api import learners
from segdistill.cli.failures import DEBUG, guarded
from segdistill.errors import ConfigError, DataError, OverwriteError, RunFolderError

from .conftest import Cli, Trained


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_given: object, **_named: object) -> None:
        raise error

    return fail


def ended(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the exit code of a command that raises, and what is said."""
    with pytest.raises(typer.Exit) as stopped:
        guarded("distill", raising(error))()
    told = capsys.readouterr()
    assert told.out == ""
    return stopped.value.exit_code, told.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a: expected b"), 2),
        (RunFolderError("a: expected b"), 2),
        (OverwriteError("a: expected b"), 2),
        (DataError("a: expected b"), 1),
        (KeyboardInterrupt("a: expected b"), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_foreseen_speaks_for_itself(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(error, capsys) == (code, "segdistill: a: expected b\n")


def test_an_interrupt_without_words_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(KeyboardInterrupt(), capsys) == (130, "segdistill: interrupted\n")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate"
                     " memory: you tried to allocate 4000 bytes"),
    ],
    ids=["python", "cuda", "cpu"],
)  # fmt: skip
def test_without_memory_it_says_what_to_lower(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = ended(error, capsys)
    assert (code, told.count("\n")) == (1, 1)
    assert told.startswith("segdistill distill: out of memory (")
    assert told.endswith("lower data.batch_size or data.crop, or raise training.accumulate\n")


@pytest.mark.parametrize("error", [KeyError("bug"), RuntimeError("1\n2"), ZeroDivisionError()])
def test_a_planted_fault_of_ours_is_one_line_with_its_place(
    error: Exception, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        learners, "run_cohort", Mock(side_effect=error)
    )  # raises in a library's frame
    done = cli("distill", "tiny.yaml")
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    first = str(error).splitlines()[0] if str(error) else "no message"
    assert done.err.startswith(
        f"segdistill distill: {type(error).__name__}: {first} (segdistill/api/learners.py:"
    )
    assert done.err.endswith(f"please report it with the traceback that {DEBUG}=1 shows\n")


def test_code_of_the_user_keeps_its_file_and_line_in_three_lines(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.conv = nn.Conv2d(3, 6, 1)\n\n"
        "    def forward(self, images):\n        return self.conv(images) + {}['bias']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    done = cli("bench", "cost", "tiny.yaml", "student={network: 'import:own_net:Net'}")
    assert (done.code, done.out) == (1, "")
    assert "own_net.py:10, in forward: return self.conv(images) + {}['bias']" in done.err
    assert done.err.count("\n") == 3


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("raise ValueError('of mine')", 1, "student: of mine\n  {file}:2, in build: raise Value"),
        ("raise SystemExit(3)", 1, "SystemExit: 3\n  {file}:2, in build: raise SystemExit(3)\n"),
        ("import argparse; argparse.ArgumentParser().parse_args(['x'])", 1, "{file}:2, in build"),
        ("return (", 2, "expected Python, got '(' was never closed in {file}, line 2: return (;"),
    ],
    ids=["ValueError", "exit", "argparse", "syntax"],
)
def test_what_ends_in_own_code_is_told_by_its_line(
    line: str, code: int, said: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_end.py").write_text(f"def build():\n    {line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_end", raising=False)
    done = cli("check", "tiny.yaml", "student={network: 'import:own_end:build'}")
    assert done.code == code
    assert said.format(file=tmp_path / "own_end.py") in done.err
    assert "bug in segdistill" not in done.err


def test_an_error_in_own_code_is_not_called_ours(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = ended(ValueError("shapes differ"), capsys)
    lines = told.splitlines()
    assert (code, len(lines)) == (1, 3)
    assert lines[0] == "segdistill distill: ValueError: shapes differ"
    assert lines[1].startswith(f"  {__file__}:")
    assert lines[1].endswith("in fail: raise error")


def test_a_refusal_of_ours_by_a_builtin_exception_is_its_own_words(
    trained: Trained, cli: Cli
) -> None:
    done = cli("evaluate", trained.run, "--scales", "0.5,-1")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("segdistill: predict: expected scale > 0 and finite")


def test_the_trace_is_shown_on_request(
    trained: Trained, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "evaluate_network", Mock(side_effect=KeyError("bug")))
    assert "Traceback" not in cli("evaluate", trained.run).err
    monkeypatch.setenv(DEBUG, "1")
    done = cli("evaluate", trained.run)
    assert done.code == 1
    assert done.err.startswith("Traceback")
    assert "please report it" in done.err


@pytest.mark.parametrize("words", ["list backbones", "list losses --verbose", "recipes schema"])
def test_a_reader_that_goes_is_no_error(words: str) -> None:
    code = "from segdistill.cli import main; main()"
    command = f"'{sys.executable}' -c '{code}' {words} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_broken_pipe_to_a_worker_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = ended(BrokenPipeError(32, "Broken pipe"), capsys)
    assert code == 1
    assert "BrokenPipeError" in told


def test_home_and_variables_are_filled_in_in_every_path(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HERE", str(tmp_path))
    # After an equals sign no shell does it.
    assert cli("recipes", "copy", "scenes/students", "~/mine.yaml").code == 0
    assert (tmp_path / "home" / "mine.yaml").exists()
    assert not (tmp_path / "~").exists()
    assert "unknown key 'data.sed'" in cli("check", "$HERE/tiny.yaml", "data.sed=1").err
    missing = f"segdistill: {tmp_path}/none: expected the folder of a finished run"
    for words in (("evaluate", "$HERE/none"), ("predict", "$HERE/none", "a.png")):
        assert cli(*words).err.startswith(missing)
    assert "in which $NOWHERE is not set" in cli("evaluate", "$NOWHERE/none").err
