"""Logs: metrics.jsonl that survives a kill, CSV and TensorBoard beside it."""

from pathlib import Path

from segdistill.runs.layout import METRICS
from segdistill.runs.metrics import EvaluationLine, read_metrics, train_lines
from segdistill.training.runlog import RunLog


def write(log: RunLog, step: int) -> None:
    log.train(step, {"task": 1.0, "x.critic": 5.0}, lr=0.1, images_per_second=2.0, seconds=3.0)


def test_lines_after_the_resumed_step_and_a_line_cut_short_go(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for step in (1, 2, 3):
        write(log, step)
    with (tmp_path / METRICS).open("a") as out:
        out.write('{"kind": "tra')
    resumed = RunLog(tmp_path, start=2)
    resumed.evaluation(2, "val", miou=0.5, pixel_accuracy=0.75)
    lines = read_metrics(tmp_path)
    assert [line.step for line in lines] == [1, 2, 2]
    assert lines[-1] == EvaluationLine(step=2, split="val", miou=0.5, pixel_accuracy=0.75)


def test_a_score_that_a_killed_run_wrote_is_known_and_not_written_again(tmp_path: Path) -> None:
    RunLog(tmp_path).evaluation(2, "val", miou=0.5, pixel_accuracy=0.75)
    resumed = RunLog(tmp_path, start=2)
    assert resumed.evaluations == {2: 0.5}
    resumed.evaluation(2, "val", miou=0.5, pixel_accuracy=0.75)
    assert len(read_metrics(tmp_path)) == 1


def test_the_loss_is_the_sum_of_the_parts_without_the_critics(tmp_path: Path) -> None:
    write(RunLog(tmp_path), 1)
    (line,) = train_lines(read_metrics(tmp_path))
    assert line.loss == 1.0


def test_the_table_has_the_same_numbers(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    write(log, 1)
    log.close()
    header, row = (tmp_path / "logs" / "metrics.csv").read_text().splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["loss/task"] == "1.0"
