"""``segdistill study``: mistakes told at once, failures shown, a line about cost."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from segdistill.api import study as module
from segdistill.cli.study import cost_line, print_pair, study

FILE = """
data: {dataset: scenes, batch_size: 4, crop: [32, 48]}
teacher: {network: fcn, backbone: resnet10t, output_stride: 16, untrained: true}
student: {network: lraspp, backbone: mobilenetv2_035, output_stride: 16}
methods: {kl: [{loss: pixelwise_kl}]}
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


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("sead=3", "unknown key 'sead'"),
        ("search.trails=3", "did you mean 'trials'"),
        ("data.batchsize=3", "did you mean 'batch_size'"),
        ("student.widht=8", "did you mean 'width'"),
        ("training.stepz=3", "did you mean 'steps'"),
        ("evaluation.splitt=val", "did you mean 'split'"),
        ("methods.kl.0.temprature=2", "did you mean 'temperature'"),
        ("seeds=41", "expected at most 40"),
    ],
)
def test_a_mistake_is_one_line_before_torch_or_a_folder(
    tmp_path: Path, word: str, answer: str
) -> None:
    (tmp_path / "my.yaml").write_text(FILE)
    words = ["study", "my.yaml", word, "--out", "out"]
    command = [sys.executable, "-c", _ALONE, *words]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert answer in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def _method(**changes: Any) -> dict[str, Any]:
    found = {"mean": 0.5, "deviation": None, "against_plain": None, "failed": {}}
    return found | {"search_error": None} | changes


def test_what_failed_stands_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    lost = _method(mean=None, search_error="expected a finite loss")
    some = _method(failed={"3": "CUDA out of memory"})
    print_pair({"methods": {"plain": _method(), "kl": some, "lad": lost}})
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "failed: kl, seed 3: CUDA out of memory",
        "failed: lad, every trial: expected a finite loss",
    ]


def test_the_cost_line_compares_with_parts_and_with_separate_runs() -> None:
    cost = {"together_seconds": 102.0, "parts_seconds": 100.0, "apart_seconds": 204.0}
    assert cost_line(cost).startswith("final cohorts: 102 s of training, 1.02 times their measured")
    assert "0.50 times separate runs" in cost_line(cost)
    nothing = dict.fromkeys(cost, 0.0)
    assert cost_line(nothing) == "final cohorts: none were trained"


def test_an_interrupt_without_words_says_so_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "my.yaml").write_text(FILE)
    monkeypatch.setattr(module, "study", stop)
    with pytest.raises(
        KeyboardInterrupt, match=r"^interrupted\nnext: segdistill study .*--resume$"
    ):
        study(str(tmp_path / "my.yaml"), out=tmp_path / "out")
