"""Mistakes: one matrix per group, its seeds added up."""

from pathlib import Path

import pytest

from segdistill.reporting.groups import group
from segdistill.reporting.runs import read_runs
from segdistill.reporting.sections.mistakes import matrix
from segdistill.runs.confusion import Confusion, write_confusion

from ..folders import make_run


def test_adds_up_the_seeds_and_names_the_most_frequent_mistake(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"{seed}", name="a", seed=seed) for seed in range(2)]
    names = ("sky", "road", "car")
    counts = ((8, 2, 0), (0, 5, 5), (0, 0, 0))
    for run in runs:
        write_confusion(run, Confusion(names, counts))
    found = matrix(group(read_runs(runs))[0])
    assert found is not None
    assert found.label == "a, 2 seeds together"
    first = found.mistakes[0]
    assert (first.true, first.predicted) == ("road", "car")
    assert first.share == pytest.approx(0.5)
    assert first.of_all == pytest.approx(0.25)
    assert len(found.mistakes) == 2
    assert found.shares is not None
    assert found.shares[2] == [0.0, 0.0, 0.0]


def test_many_classes_have_a_list_and_no_matrix(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="a")
    counts = [[0] * 30 for _ in range(30)]
    counts[3][4] = 7
    names = tuple(f"c{n}" for n in range(30))
    write_confusion(run, Confusion(names, tuple(map(tuple, counts))))
    found = matrix(group(read_runs([run]))[0])
    assert found is not None
    assert found.shares is None
    assert [(one.true, one.predicted) for one in found.mistakes] == [("c3", "c4")]


def test_a_group_that_kept_no_counts_has_none(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="a", bare=True)
    assert matrix(group(read_runs([run]))[0]) is None
