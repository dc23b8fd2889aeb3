"""Pictures of a run: there, whole, and made from what the run logged."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdistill.reporting.plots import (
    confusion_figure,
    curves_figure,
    row_shares,
    write_run_pictures,
)
from segdistill.runs.metrics import evaluation_lines, read_metrics

from .folders import make_run


def test_writes_curves_matrix_and_table(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="a", losses=["pixelwise_kl"])
    written = write_run_pictures(run)
    assert [file.name for file in written] == ["results.csv", "results.png", "confusion_matrix.png"]
    for file in written[1:]:
        with Image.open(file) as picture:
            assert min(picture.size) > 300
    assert not list(run.glob("*.tmp"))


def test_the_table_has_a_row_per_step_with_losses_and_scores(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="a", losses=["pixelwise_kl"])
    write_run_pictures(run)
    with (run / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(10, 401, 10))
    assert set(rows[0]) >= {"step", "loss", "loss/task", "loss/pixelwise_kl", "lr", "miou"}
    scored = [row for row in rows if row["miou"]]
    assert [row["step"] for row in scored] == ["100", "200", "300", "400"]
    assert float(scored[0]["miou"]) == evaluation_lines(read_metrics(run))[0].miou


def test_the_curves_hold_the_logged_values(tmp_path: Path) -> None:
    metrics = read_metrics(make_run(tmp_path / "a", name="a", losses=["pixelwise_kl"]))
    losses, scores = curves_figure(metrics).axes
    assert [line.get_label() for line in losses.lines] == ["loss", "task", "pixelwise_kl"]
    assert list(scores.lines[0].get_xdata()) == [100, 200, 300, 400]
    logged = [100 * line.miou for line in evaluation_lines(metrics)]
    assert list(scores.lines[0].get_ydata()) == pytest.approx(logged)


def test_the_matrix_shows_shares_of_the_true_class() -> None:
    counts = [[30, 10], [0, 0]]
    assert row_shares(counts).tolist() == [[0.75, 0.25], [0.0, 0.0]]
    axes = confusion_figure(counts, ["road", "sky"]).axes[0]
    assert np.array_equal(axes.images[0].get_array(), row_shares(counts))
    assert {text.get_text() for text in axes.texts} == {"75", "25"}


def test_leaves_out_what_has_no_source(tmp_path: Path) -> None:
    assert write_run_pictures(make_run(tmp_path / "a", name="a", bare=True)) == []
