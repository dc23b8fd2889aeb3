"""Pareto plots: the front is what nothing beats, and one network has one cost."""

from pathlib import Path
from xml.etree import ElementTree

from segdistill.reporting.groups import group
from segdistill.reporting.pareto import front, pareto_plots
from segdistill.reporting.runs import read_runs
from segdistill.reporting.studies import read_study, study_groups

from .folders import make_run, make_study


def test_the_front_is_what_nothing_cheaper_or_better_beats() -> None:
    points = [(3.0, 70.0), (1.0, 50.0), (2.0, 45.0), (1.0, 40.0), (4.0, 70.0), (2.0, 60.0)]
    assert front(points) == [(1.0, 50.0), (2.0, 60.0), (3.0, 70.0)]
    assert front([]) == []
    beaten = [
        one
        for one in set(points) - set(front(points))
        if any(cost <= one[0] and score >= one[1] for cost, score in front(points))
    ]
    assert len(beaten) == 3


def test_draws_the_costs_that_differ(tmp_path: Path) -> None:
    groups = study_groups(read_study(make_study(tmp_path / "s", pairs=("a", "b"), seeds=2)))
    figures = pareto_plots(groups)
    assert [figure.title for figure in figures] == [
        "mIoU against GFLOPs an image",
        "mIoU against parameters",
        "mIoU against latency",
    ]
    assert "Shapes: circle a, square b." in figures[0].caption
    assert "teacher: 47.0 % at 58.5" in figures[0].alt
    for figure in figures:
        assert ElementTree.fromstring(figure.svg).tag.endswith("svg")
        assert "stroke-dasharray" in figure.svg


def test_one_network_has_one_latency_however_it_was_trained(tmp_path: Path) -> None:
    groups = study_groups(read_study(make_study(tmp_path / "s", pairs=("a", "b"), seeds=3)))
    alt = pareto_plots(groups)[2].alt
    costs = {part.rpartition(" ")[2] for part in alt.split("; ") if "(a)" in part}
    assert len(costs) == 1


def test_nothing_is_drawn_where_all_cost_the_same_or_nobody_counted(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, name=name, losses=[name]) for name in ("a", "b")]
    assert pareto_plots(group(read_runs(runs))) == []
    bare = [make_run(tmp_path / name, name=name, params_m=None) for name in ("c", "d")]
    assert pareto_plots(group(read_runs(bare))) == []
