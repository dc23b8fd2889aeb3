"""Pareto plots: the front is what nothing beats, and one network has one cost."""

from pathlib import Path
from xml.etree import ElementTree

from segdistill.reporting.sections.pareto import pareto_plots, show
from segdistill.runs.result import StudentCost

from ..folders import make_run, make_study
from ..material import of_runs, of_study_folder


def test_draws_the_costs_that_differ(tmp_path: Path) -> None:
    figures = pareto_plots(of_study_folder(make_study(tmp_path / "s", pairs=("a", "b"), seeds=2)))
    assert [figure.title for figure in figures] == [
        "mIoU against GFLOPs per image",
        "mIoU against parameters",
        "mIoU against latency",
    ]
    assert "Shapes: circle a, square b." in figures[0].caption
    assert "teacher: 47.0 % at 58.5" in figures[0].alt
    for figure in figures:
        assert ElementTree.fromstring(figure.svg).tag.endswith("svg")
        assert "stroke-dasharray" in figure.svg


def test_one_network_has_one_latency_however_it_was_trained(tmp_path: Path) -> None:
    material = of_study_folder(make_study(tmp_path / "s", pairs=("a", "b"), seeds=3))
    alt = pareto_plots(material)[2].alt
    costs = {part.rpartition(" ")[2] for part in alt.split("; ") if "(a)" in part}
    assert len(costs) == 1


def test_nothing_is_drawn_where_all_cost_the_same_or_nobody_counted(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, name=name, losses=[name]) for name in ("a", "b")]
    assert show(of_runs(runs)) is None
    bare = [make_run(tmp_path / name, name=name, params_m=None) for name in ("c", "d")]
    assert show(of_runs(bare)) is None


def test_costs_of_images_of_another_size_are_left_out(tmp_path: Path) -> None:
    other = {"cost": StudentCost(params_m=9.0, gflops=99.0, latency_ms=9.0, cost_size=(720, 960))}
    runs = [
        make_run(tmp_path / "a", name="a"),
        make_run(tmp_path / "b", name="b", losses=["kl"], params_m=1.0),
        make_run(tmp_path / "c", name="c", losses=["mgd"], changed=other),
    ]
    gflops, parameters = pareto_plots(of_runs(runs))[:2]
    assert "c:" not in gflops.alt
    assert "c: 40.0 % at 9" in parameters.alt
