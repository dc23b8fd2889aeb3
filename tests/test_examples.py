"""The examples run as they stand, stay short, and learn something."""

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(
    name: str, *words: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    monkeypatch.syspath_prepend(EXAMPLES)
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: file.name)
def test_an_example_is_short_and_run_below(file: Path) -> None:
    most = 150 if file.name == "detection.py" else 60
    assert len(file.read_text().splitlines()) <= most
    assert f'"{file.name}"' in Path(__file__).read_text()


@pytest.mark.long
def test_an_own_network_is_distilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run("own_network.py", tmp_path, monkeypatch=monkeypatch, capsys=capsys)
    assert [line.split(":")[0] for line in lines] == ["teacher", "student"]
    assert all(re.search(r"mIoU \d+\.\d %, \d\.\d{3} M$", line) for line in lines)
    metrics = (tmp_path / "student" / "metrics.jsonl").read_text()
    assert "layer_angular" in metrics
    assert "pixelwise_kl" in metrics


@pytest.mark.long
def test_a_segformer_is_distilled_into_a_mobilenet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    lines = run("segformer_to_mobilenet.py", tmp_path, monkeypatch=monkeypatch, capsys=capsys)
    assert [line.split(":")[0] for line in lines[-2:]] == ["teacher", "student"]
    resolved = (tmp_path / "student" / "resolved.yaml").read_text()
    assert f"network: hf:{tmp_path / 'segformer'}" in resolved
    assert str(tmp_path / "teacher" / "model.safetensors") in resolved


def test_a_loss_serves_in_a_loop_of_somebody_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run("own_loop.py", monkeypatch=monkeypatch, capsys=capsys)
    taught = [float(line.split()[-1]) for line in lines]
    assert taught[:8] == [0.0] * 8  # the teacher
    assert len(taught) == 16
    assert taught[-1] < taught[8]


@pytest.mark.long
@pytest.mark.parametrize("detector", ["retinanet", "faster_rcnn"])
def test_detectors_are_distilled_and_scored_side_by_side(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    detector: str,
) -> None:
    pytest.importorskip("pycocotools")
    small = ["--size", "64", "--images", "4", "--steps", "1", "--batch-size", "2"]
    words = [tmp_path / "data", "--detector", detector, *small]
    networks = ["--teacher", "resnet34", "--student", "resnet18"]
    lines = run("detection.py", *words, *networks, monkeypatch=monkeypatch, capsys=capsys)
    assert [line.split()[:2] for line in lines[1:]] == [
        ["teacher", "resnet34"],
        ["plain", "resnet18"],
        ["LAD", "resnet18"],
    ]
    assert all(len(re.findall(r"-?\d+\.\d", line)) == 4 for line in lines[1:])


def test_boxes_of_drawings_are_those_of_their_pixels(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    example = runpy.run_path(str(EXAMPLES / "detection.py"))
    example["draw_split"](tmp_path, "train", 6, 64, 0)
    _, images = example["read_split"](tmp_path, "train")
    assert len(images) == 6
    for _, image, truth in images:
        boxes = truth["boxes"].int().tolist()
        assert len(boxes) == len(truth["labels"]) >= 1
        # The one that was drawn last is whole: one colour, and another beyond each edge.
        left, top, right, low = boxes[-1]
        middle = image[:, (top + low) // 2, (left + right) // 2]
        assert (image[:, top:low, (left + right) // 2] == middle[:, None]).all()
        assert (image[:, (top + low) // 2, left:right] == middle[:, None]).all()
        for row, column in ((top - 1, (left + right) // 2), ((top + low) // 2, right)):
            if row >= 0 and column < 64:
                assert not (image[:, row, column] == middle).all()
