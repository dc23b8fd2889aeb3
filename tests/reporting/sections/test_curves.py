"""Charts of training: the part that every method has, one line per group, panels apart."""

import re
from pathlib import Path

from segdistill.drawing.figure import Figure
from segdistill.reporting.material import Material
from segdistill.reporting.sections.curves import curve_charts, show

from ..folders import make_cohort, make_run, make_study
from ..material import of_runs, of_study_folder


def loss_chart(material: Material) -> Figure:
    return next(figure for figure in curve_charts(material) if "loss" in figure.title)


def test_loss_and_miou_have_a_chart_each_with_ids_of_their_own(tmp_path: Path) -> None:
    loss, miou, *_ = curve_charts(of_runs(make_cohort(tmp_path)))
    assert [loss.title, miou.title] == ["Training loss, task part", "mIoU, %"]
    for name, chart in (("task0", loss), ("miou1", miou)):
        ids = re.findall(r' id="([^"]+)"', chart.svg)
        assert all(one.startswith(f"{name}-") for one in ids)
        assert len(chart.svg) < 40_000
    assert {f"var(--s{n})" in miou.svg for n in range(1, 4)} == {True}


def test_a_teacher_is_drawn_apart_and_each_chart_has_its_legend(tmp_path: Path) -> None:
    charts = curve_charts(of_runs(make_cohort(tmp_path)))
    students, teachers = charts[:2], charts[2:]
    assert [chart.title for chart in teachers] == [
        "Training loss, task part: teacher",
        "mIoU, %: teacher",
    ]
    for chart in students:
        assert chart.legend == {"plain": "--s1", "kl": "--s2", "angular": "--s3"}
        assert "--s0" not in chart.svg
    assert all(chart.legend == {"teacher": "--s0"} for chart in teachers)
    (alone, _) = curve_charts(of_runs([make_cohort(tmp_path / "other")[-1]]))
    assert alone.title == "Training loss, task part"


def test_is_left_out_where_nothing_was_logged(tmp_path: Path) -> None:
    assert show(of_runs([make_run(tmp_path / "a", name="a", bare=True)])) is None


def test_the_loss_is_the_part_that_every_method_has(tmp_path: Path) -> None:
    chart = loss_chart(of_runs(make_cohort(tmp_path)))
    # The fixture's task loss is the same in all four runs, their whole loss is not.
    lines = re.findall(r'<path d="([^"]+)"[^>]*stroke: var\(--s\d\)', chart.svg)
    assert re.findall(r"(teacher|plain|kl|angular): ([\d.]+\d)", chart.alt) == [
        (name, "0.413") for name in ("plain", "kl", "angular")
    ]
    assert len(lines) == 3
    assert len(set(lines)) == 1


def test_several_seeds_are_one_line_in_a_band(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"{s}", name="a", miou=0.3 + s / 50, seed=s) for s in range(3)]
    chart = loss_chart(of_runs(runs))
    lines = re.findall(r'<path d="([^"]+)"[^>]*stroke: var\(--s1\)', chart.svg)
    assert len(lines) == 1
    assert chart.svg.count("fill-opacity") == 1


def test_pairs_of_a_study_are_drawn_apart_and_without_the_teacher(tmp_path: Path) -> None:
    charts = curve_charts(of_study_folder(make_study(tmp_path / "s", pairs=("x", "y"), seeds=1)))
    assert [chart.title for chart in charts] == [
        f"{title}: {pair}"
        for pair in ("x", "y")
        for title in ("Training loss, task part", "mIoU, %")
    ]
    ids = [re.findall(r' id="([^"]+)"', chart.svg) for chart in charts]
    assert len({one for own in ids for one in own}) == sum(map(len, ids))
    assert not any("--s0" in chart.svg for chart in charts)
