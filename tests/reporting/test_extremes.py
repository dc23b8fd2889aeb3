"""Worst and best images: mIoU by image, paired by seed."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.reporting.extremes import extremes, image_miou
from segdistill.reporting.groups import group
from segdistill.reporting.runs import Run, read_runs

from .folders import make_run


def keep(folder: Path, counts: list[list[list[int]]], names: list[str]) -> None:
    np.savez_compressed(
        folder / "confusion_images.npz", counts=np.array(counts), names=np.array(names)
    )


def image(hit: int, missed: int) -> list[list[int]]:
    """An image of one class, part of which is taken for another: IoU hit / all, and 0."""
    return [[hit, missed, 0], [0, 0, 0], [0, 0, 0]]


def make(folder: Path, name: str, hits: list[int], losses: tuple[str, ...] = ()) -> Path:
    run = make_run(folder / name, name=name, losses=losses, pictures=[])
    keep(run, [image(hit, 10 - hit) for hit in hits], [f"i{n}" for n in range(len(hits))])
    return run


def read(folder: Path) -> Run:
    return read_runs([folder])[0]


def test_an_images_miou_is_over_the_classes_that_it_has(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="a")
    two = [[6, 2, 0], [1, 1, 0], [0, 0, 0]]
    keep(run, [image(10, 0), image(5, 5), two, [[0] * 3] * 3], ["all", "half", "two", "empty"])
    found = image_miou(read(run))
    assert found == pytest.approx({"all": 1.0, "half": 0.25, "two": (6 / 9 + 1 / 4) / 2})


def test_the_largest_gains_come_first_and_the_largest_losses_last(tmp_path: Path) -> None:
    plain = make(tmp_path, "plain", [5, 5, 5, 5, 5, 5, 5, 5])
    kl = make(tmp_path, "kl", [6, 9, 1, 5, 7, 4, 3, 8], ("kl",))
    (found,) = extremes(group(read_runs([plain, kl])), count=2).values()
    assert [one.image for one in found] == ["i1", "i7", "i6", "i2"]
    assert found[0].change == pytest.approx(0.45 - 0.25)
    assert found[-1].change < 0


def test_few_images_are_each_there_once(tmp_path: Path) -> None:
    runs = [make(tmp_path, "plain", [5, 6]), make(tmp_path, "kl", [7, 5], ("kl",))]
    (found,) = extremes(group(read_runs(runs)), count=3).values()
    assert [one.image for one in found] == ["i0", "i1"]


def test_runs_that_kept_no_counts_have_no_extremes(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "p", name="plain"), make(tmp_path, "kl", [7, 5], ("kl",))]
    assert extremes(group(read_runs(runs))) == {}
