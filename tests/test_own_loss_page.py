"""The page about losses of one's own: its code, configs and commands, run at toy size."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from segdistill.cli import build_app
from segdistill.testing import CHECKS, check_loss

pytestmark = pytest.mark.long  # whole runs

PAGE = (Path(__file__).parents[1] / "docs" / "your-own-loss.md").read_text(encoding="utf-8")
TOY = [
    "data.size=[48, 64]",
    "data.crop=[32, 48]",
    "data.train_images=4",
    "data.val_images=2",
    "data.batch_size=2",
    "training.steps=1",
    "teacher={network: fcn, backbone: resnet10t, output_stride: 16, width: 16, untrained: true}",
    "student={network: lraspp, backbone: mobilenetv2_035, output_stride: 16, width: 16}",
]


def blocks(language: str) -> list[str]:
    found = re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL)
    return [text for of, text in found if of == language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (code,), (compare, fair) = blocks("python"), blocks("yaml")
    (tmp_path / "my_loss.py").write_text(code)
    (tmp_path / "compare.yaml").write_text(compare)
    (tmp_path / "fair.yaml").write_text(fair)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "my_loss", raising=False)
    return tmp_path


def test_every_command_of_the_page_works(folder: Path) -> None:
    commands = [line for block in blocks("") for line in block.splitlines() if line]
    assert [shlex.split(line.removeprefix("PYTHONPATH=. "))[1] for line in commands] == [
        "check",
        "check",
        "distill",
        "study",
    ]
    for line in commands:
        words = shlex.split(line.removeprefix("PYTHONPATH=. "))[1:]
        if words[:2] != ["check", "loss"]:
            words += TOY
        if words[0] == "check" and words[1] != "loss":
            words.append("--allow-weak-teacher")
        if words[0] == "study":
            words += ["--dry-run"]
        done = CliRunner().invoke(build_app(), words)
        assert done.exit_code == 0, (line, done.output, done.exception)
    assert (folder / "first" / "report.html").exists()


def test_the_page_names_every_check() -> None:
    table = PAGE.partition("## 2.")[2].partition("## 3.")[0]
    named = " ".join(re.findall(r"^\| ([^|]+) \|", table, flags=re.MULTILINE))
    for check in CHECKS:
        assert check.removeprefix("a mean ") in named, check


def test_its_loss_keeps_the_contract_in_two_processes(folder: Path) -> None:
    check_loss(f"{folder / 'my_loss.py'}:sure_kl", settings={"power": 2.0})
