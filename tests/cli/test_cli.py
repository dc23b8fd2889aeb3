"""The whole command line: help, exit codes, one-line errors, no torch before it is needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segdistill.catalogue.commands import COMMANDS

from .conftest import TINY, Cli


def program(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = "from segdistill.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.mark.parametrize("words", [command.split() for command in COMMANDS], ids=" ".join)
def test_the_help_of_each_command_has_an_example(words: list[str], cli: Cli) -> None:
    done = cli(*words, "--help")
    assert done.code == 0
    assert f"Example: segdistill {' '.join(words)}" in done.out


@pytest.mark.parametrize("words", [[], ["list"], ["bench"], ["recipes"]], ids=" ".join)
def test_no_line_of_an_overview_is_cut_off(words: list[str], cli: Cli) -> None:
    done = cli(*words, "--help")
    _, _, commands = done.out.partition("Commands:\n")
    assert commands
    assert [line for line in commands.splitlines() if line.endswith("...")] == []


def test_the_version_is_a_number(cli: Cli) -> None:
    assert cli("--version").out.split(".")[0].isdigit()


def test_without_words_the_help_is_shown(cli: Cli) -> None:
    assert "Commands:" in cli().out + cli().err


@pytest.mark.parametrize(
    "words",
    [
        ["train", "tiny.yaml", "training.stepz=3"],
        ["distill", "tiny.yaml", "training.stepz=3"],
        ["check", "tiny.yaml", "training.stepz=3"],
        ["bench", "cost", "tiny.yaml", "training.stepz=3"],
        ["bench", "latency", "tiny.yaml", "training.stepz=3"],
        ["list", "taps", "tiny.yaml", "training.stepz=3"],
        ["demo", "training.stepz=3"],
    ],
    ids=" ".join,
)
def test_a_config_error_comes_before_torch_and_before_any_folder(
    words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    code = (
        "import sys\nfrom segdistill.cli import main\ntry:\n    main()\nfinally:\n"
        "    print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert done.stderr.count("\n") == 1
    assert "unknown key 'training.stepz'; did you mean 'steps'?" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["distil"], 2, "Did you mean 'distill'"),
        (["list", "loses"], 2, "Did you mean 'losses'"),
        (["train"], 2, "Missing argument 'config'; see segdistill train --help"),
        (["train", "tiny.yaml", "--outt", "x"], 2, "No such option"),
        (["bench", "cost", "x.yaml", "--counter", "tork"], 2, "did you mean 'torch'?; see segd"),
        (["bench", "latency", "x.yaml", "--passes", "0"], 2, "--passes"),
        (["study", "x.yaml", "--engine", "rey"], 2, "--engine: there is no 'rey'; did you mean"),
        (["train", "none.yaml"], 2, "none.yaml: expected a config file, got No such file"),
        (["train", "camvid/techer"], 2, "did you mean 'camvid/teacher'?"),
        (["train", "camvid/teacher"], 1, "camvid: expected train and trainannot"),
        (["train", "tiny.yaml", "training.device=cuda"], 2, "expected a GPU for cuda, got none"),
        (["train", "tiny.yaml", "--resume"], 2, "expected a run to resume, got none"),
        (["distill", "tiny.yaml", "cohort=null"], 2, "cohort: expected names of learners"),
        (["distill", "scenes/teacher"], 2, "expected at least one term under 'distill', got none"),
        (
            ["distill", "tiny.yaml", "teacher.untrained=false", "teacher.weights=none.safetensors"],
            1,
            "expected a file at none.safetensors, got none",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_answered_in_one_line(
    words: list[str], code: int, message: str, cli: Cli
) -> None:
    import torch

    if torch.cuda.is_available() and "training.device=cuda" in words:
        pytest.skip("there is a GPU")
    done = cli(*words)
    assert (done.code, done.out) == (code, "")
    assert message.casefold() in done.err.casefold()  # typer 0.20 writes CONFIG
    assert done.err.count("\n") == 1
    assert not Path("runs").exists()


def test_words_are_completed_by_a_shell() -> None:
    asked = {"_SEGDISTILL_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'segdistill'; from segdistill.cli import main; main()"
    for line, word, expected in (
        ("segdistill dis", "1", "distill"),
        ("segdistill export run --format openvino-", "4", "openvino-int8"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, **asked, "COMP_WORDS": line, "COMP_CWORD": word},
            check=False,
        )
        assert done.stdout.split() == [expected], done.stderr


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        ([], {"torch", "pydantic"}),
        (["distill"], {"torch", "timm", "scipy"}),
        (["bench", "latency"], {"torch", "timm", "scipy"}),
        (["list", "taps"], {"torch", "timm", "scipy"}),
    ],
)
def test_help_loads_nothing_that_it_does_not_need(words: list[str], heavy: set[str]) -> None:
    code = (
        "import sys, typer.testing as t, segdistill.cli as c; r = t.CliRunner().invoke("
        f"c.build_app(), sys.argv[1:]); print(r.exit_code, {heavy} & {{*sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0 set()\n"
