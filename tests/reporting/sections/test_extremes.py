"""Worst and best images: mIoU by image, paired by seed."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.reporting.sections.extremes import extremes, show
from segdistill.runs.confusion import ImageCounts, write_image_counts

from ..folders import make_run
from ..material import of_runs


def keep(folder: Path, counts: list[list[list[int]]], names: list[str]) -> None:
    write_image_counts(folder, ImageCounts(tuple(names), np.array(counts)))


def image(hit: int, missed: int) -> list[list[int]]:
    """An image of one class, part of which is taken for another: IoU hit / all, and 0."""
    return [[hit, missed, 0], [0, 0, 0], [0, 0, 0]]


def make(folder: Path, name: str, hits: list[int], losses: tuple[str, ...] = ()) -> Path:
    run = make_run(folder / name, name=name, losses=losses, pictures=[])
    keep(run, [image(hit, 10 - hit) for hit in hits], [f"i{n}" for n in range(len(hits))])
    return run


def test_the_largest_gains_come_first_and_the_largest_losses_last(tmp_path: Path) -> None:
    plain = make(tmp_path, "plain", [5, 5, 5, 5, 5, 5, 5, 5])
    kl = make(tmp_path, "kl", [6, 9, 1, 5, 7, 4, 3, 8], ("kl",))
    (found,) = extremes(of_runs([plain, kl]), count=2).values()
    assert [one.image for one in found] == ["i1", "i7", "i6", "i2"]
    assert found[0].change == pytest.approx(0.45 - 0.25)
    assert found[-1].change < 0


def test_an_image_without_a_label_is_left_out(tmp_path: Path) -> None:
    plain, kl = make(tmp_path, "plain", [5, 0]), make(tmp_path, "kl", [6, 0], ("kl",))
    for run, hits in ((plain, 5), (kl, 6)):
        keep(run, [image(hits, 10 - hits), image(0, 0)], ["labelled", "empty"])
    (found,) = extremes(of_runs([plain, kl])).values()
    assert [one.image for one in found] == ["labelled"]


def test_few_images_are_each_there_once(tmp_path: Path) -> None:
    runs = [make(tmp_path, "plain", [5, 6]), make(tmp_path, "kl", [7, 5], ("kl",))]
    (found,) = extremes(of_runs(runs), count=3).values()
    assert [one.image for one in found] == ["i0", "i1"]


def test_runs_that_kept_no_counts_have_no_extremes(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "p", name="plain"), make(tmp_path, "kl", [7, 5], ("kl",))]
    assert show(of_runs(runs)) is None
