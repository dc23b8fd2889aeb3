"""choose: a recommendation with its evidence, and one line for what cannot be compared."""

import json
from pathlib import Path

import pytest

from .conftest import Cli, Done, Trained

pytest.importorskip("onnxruntime")


@pytest.mark.long
@pytest.mark.usefixtures("written")
def test_says_what_to_ship_and_why(trained: Trained, exported: tuple[Done, Path], cli: Cli) -> None:
    done = cli("choose", trained.run, exported[1], "--scored", "2")
    assert done.code == 0, done.err
    assert f"{trained.run} onnx" in done.out
    assert "cannot be told apart by mIoU: +0.00 points of mIoU (+0.00 to +0.00)" in done.out
    assert "seeds: segdistill study\nship " in done.out
    assert done.out.splitlines()[-1].startswith("next: segdistill ")


@pytest.mark.long
@pytest.mark.usefixtures("written")
def test_as_json_and_under_a_limit(trained: Trained, cli: Cli) -> None:
    words = ("choose", trained.run, "--runtime", "onnx", "--scored", "1")
    made = json.loads(cli(*words, "--latency", "60000ms", "--json").out)
    assert made["chosen"] == made["verdict"]["best"] == f"{trained.run} onnx"
    assert made["command"] == f"segdistill export {trained.run} --format onnx"
    assert (made["candidates"][0]["fits"], made["candidates"][0]["file"]) == (True, None)
    done = cli(*words, "--latency", "0.001ms")
    assert (done.code, done.out) == (1, "")
    assert "expected a file that keeps 0.001 ms in nine of ten passes, got " in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.root=a"], "expected run folders or exported files, got none"),
        (["nowhere"], "nowhere: expected the folder of a finished run, got none"),
        (["a.onnx", "--latency", "20"], "expected milliseconds such as 20ms, got '20'"),
        (["a.onnx", "--latency", "0ms"], "expected milliseconds such as 20ms, got '0ms'"),
        (["nowhere", "--runtime", "onx"], "--runtime: there is no 'onx'; did you mean 'onnx'?"),
    ],
)
def test_wrong_words_are_answered_in_one_line(cli: Cli, words: list[str], message: str) -> None:
    done = cli("choose", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_file_that_is_not_there_is_named(cli: Cli) -> None:
    done = cli("choose", "a.onnx")
    assert (done.code, done.err) == (1, "segdistill: a.onnx: expected an exported file, got none\n")
