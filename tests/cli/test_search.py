"""``segdistill search``: mistakes told before torch, the table, the reasons, what is next."""

import subprocess
import sys
from pathlib import Path

import pytest

from segdistill.runs.students import FinalScore, Found, Student, Time

from .conftest import Cli

pytest.importorskip("optuna")

FILE = """
data: {dataset: scenes, batch_size: 4, crop: [32, 48]}
teacher: {network: fcn, backbone: resnet10t, output_stride: 16, weights: lost.safetensors}
students: {lraspp: {backbone: mobilenetv2_035, width: [8, 16]}}
training: {steps: 4}
"""

_ALONE = """
import sys
from segdistill.cli import main
try:
    main()
finally:
    assert "torch" not in sys.modules
"""


def test_a_mistake_is_one_line_before_torch_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(FILE)
    words = ["search", "my.yaml", "search.trails=3", "--out", "out"]
    command = [sys.executable, "-c", _ALONE, *words]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "did you mean 'trials'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "code", "answer"),
    [
        (["--latency", "15"], 2, "--latency: expected milliseconds such as 20ms, got '15'"),
        (["--size", "360"], 2, "--size: expected HEIGHTxWIDTH"),
        (["students.lraspp.widht=[8]"], 2, "did you mean 'width'"),
        (["search.steps=3"], 2, "search.pruning: expected steps of a trial divisible 2 times by 2"),
        (["training.devices=2"], 2, "training.devices: expected 1, got 2"),
        ([], 1, "lost.safetensors"),
    ],
)
def test_wrong_words_and_a_missing_teacher_are_one_line(
    cli: Cli, words: list[str], code: int, answer: str
) -> None:
    Path("my.yaml").write_text(FILE)
    done = cli("search", "my.yaml", *words, "--out", "out")
    assert (done.code, done.out) == (code, "")
    assert answer in done.err
    assert not Path("out").exists()


def test_files_of_other_commands_are_told_apart(cli: Cli) -> None:
    Path("my.yaml").write_text(FILE)
    assert "use segdistill search" in cli("distill", "my.yaml").err
    assert "with students to search, got a run file" in cli("search", "tiny.yaml").err
    assert "got a study" in cli("search", "studies/scenes").err


def found(**changes: object) -> Found:
    time = Time(5.0, 4.0, 6.0, 0.25, 0.1)
    done = Student(
        name="lraspp-0",
        number=0,
        family="lraspp",
        student={"network": "lraspp", "width": 8},
        status="done",
        time=time,
        fits=True,
        on_front=True,
        miou=0.4,
        low=0.35,
        high=0.45,
        step=4,
        seconds=1.0,
    )
    slow = Student(
        name="lraspp-1",
        number=1,
        family="lraspp",
        student={"network": "lraspp", "width": 16},
        status="too slow",
        time=Time(25.0, 24.0, 26.0, 0.5, 0.2),
        fits=False,
    )
    final = FinalScore(
        split="val",
        images=6,
        seeds={0: 0.41, 1: 0.43},
        mean=0.42,
        deviation=0.014,
        low=0.38,
        high=0.46,
        failed={2: "expected a finite loss"},
    )
    known = {
        "hash": "abc",
        "limit_ms": 15.0,
        "size": (48, 64),
        "device": "a clock",
        "threads": 1,
        "others": 0.6,
        "space": 2,
        "images": 6,
        "students": (done, slow),
        "best": "lraspp-0",
        "chosen": "lraspp-0",
        "equals": (),
        "reasons": ("of the 1 students, lraspp-0 has the highest mIoU",),
        "final": final,
        "command": "segdistill export out/final/students/seed-0/lraspp-0 --format onnx",
    }
    return Found(**(known | changes))  # type: ignore[arg-type]


def test_the_table_the_reasons_and_the_next_command_are_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from segdistill.cli.search import _print

    _print(found(), Path("out"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 of 2 students tried: 1 done, 1 too slow"
    (row,) = [line for line in lines if line.startswith("lraspp-0  ")]
    assert row.split()[:5] == ["lraspp-0", "40.00", "35.0", "to", "45.0"]
    assert row.endswith("chosen, front")
    assert any("the machine was busy" in line for line in lines)
    assert "lraspp-0 on val: 42.00 ± 1.40 over seeds, 38.0 to 46.0 over images" in lines
    assert "failed: seed 2: expected a finite loss" in lines
    assert lines[-1] == "next: segdistill export out/final/students/seed-0/lraspp-0 --format onnx"
