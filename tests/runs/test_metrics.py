"""Metrics: lines by kind, and those of steps that are taken again go."""

from pathlib import Path

from segdistill.runs.metrics import (
    EvaluationLine,
    Line,
    TrainLine,
    append_metrics,
    evaluation_lines,
    keep_metrics,
    read_metrics,
    train_lines,
)


def train(step: int) -> TrainLine:
    return TrainLine(
        step=step, loss=1.5, parts={"task": 1.5}, lr=0.1, images_per_second=2.0, seconds=3.0
    )


def score(step: int) -> EvaluationLine:
    return EvaluationLine(step=step, split="val", miou=0.25, pixel_accuracy=0.5)


def test_lines_come_back_in_order_and_by_kind(tmp_path: Path) -> None:
    lines: list[Line] = [train(1), train(2), score(2), train(3)]
    for line in lines:
        append_metrics(tmp_path, line)
    assert read_metrics(tmp_path) == lines
    assert train_lines(lines) == [train(1), train(2), train(3)]
    assert evaluation_lines(lines) == [score(2)]


def test_lines_of_later_steps_are_taken_away(tmp_path: Path) -> None:
    keep_metrics(tmp_path, 5)  # no file, nothing to do
    for line in (train(1), score(2), train(3), score(4)):
        append_metrics(tmp_path, line)
    keep_metrics(tmp_path, 2)
    assert read_metrics(tmp_path) == [train(1), score(2)]
