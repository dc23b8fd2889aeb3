"""Charts of the page: valid SVG whose colours, font and ids belong to the page."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from segdistill.reporting.charts import loss_chart, miou_chart
from segdistill.reporting.groups import Group, group
from segdistill.reporting.runs import read_runs
from segdistill.reporting.studies import read_study, study_groups

from .folders import make_cohort, make_run, make_study


def cohort(folder: Path) -> list[Group]:
    return group(read_runs(make_cohort(folder)))


def test_is_one_well_formed_picture_a_chart(tmp_path: Path) -> None:
    groups = cohort(tmp_path)
    for chart in (loss_chart(groups), miou_chart(groups)):
        assert chart is not None
        root = ElementTree.fromstring(chart.svg)
        assert root.tag.endswith("svg")
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib
        assert len(chart.svg) < 40_000


def test_takes_every_colour_and_the_font_from_the_page(tmp_path: Path) -> None:
    chart = miou_chart(cohort(tmp_path))
    assert chart is not None
    assert not re.findall(r"(?:fill|stroke): #", chart.svg)
    assert {f"var(--s{n})" in chart.svg for n in range(4)} == {True}
    assert "currentColor" in chart.svg
    assert set(re.findall(r"font-family: ([^;\"]+)", chart.svg)) == {"inherit"}
    assert "<style" not in chart.svg


def test_ids_are_prefixed_and_all_referred_to(tmp_path: Path) -> None:
    groups = cohort(tmp_path)
    loss, miou = loss_chart(groups), miou_chart(groups)
    assert loss is not None
    assert miou is not None
    for name, chart in (("task", loss), ("miou", miou)):
        ids = re.findall(r' id="([^"]+)"', chart.svg)
        referred = re.findall(r'(?:url\(#|href="#)([^")]+)', chart.svg)
        assert set(ids) == set(referred)
        assert len(ids) == len(set(ids))
        assert all(one.startswith(f"{name}-") for one in ids)


def test_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    groups = cohort(tmp_path)
    assert loss_chart(groups) == loss_chart(groups)


def test_is_left_out_where_nothing_was_logged(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="a")
    (run / "metrics.jsonl").unlink()
    assert loss_chart(group(read_runs([run]))) is None


def test_the_loss_is_the_part_that_every_method_has(tmp_path: Path) -> None:
    groups = cohort(tmp_path)
    chart = loss_chart(groups)
    assert chart is not None
    # The fixture's task loss is the same in all four runs, their whole loss is not.
    lines = re.findall(r'<path d="([^"]+)"[^>]*stroke: var\(--s\d\)', chart.svg)
    assert re.findall(r"(teacher|plain|kl|angular): ([\d.]+\d)", chart.alt) == [
        (name, "0.413") for name in ("teacher", "plain", "kl", "angular")
    ]
    assert len(lines) == 4
    assert len(set(lines)) == 1


def test_several_seeds_are_one_line_in_a_band(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"{s}", name="a", miou=0.3 + s / 50, seed=s) for s in range(3)]
    chart = loss_chart(group(read_runs(runs)))
    assert chart is not None
    lines = re.findall(r'<path d="([^"]+)"[^>]*stroke: var\(--s1\)', chart.svg)
    assert len(lines) == 1
    assert chart.svg.count("fill-opacity") == 1


def test_pairs_are_drawn_apart_with_ids_apart(tmp_path: Path) -> None:
    groups = study_groups(read_study(make_study(tmp_path / "s", pairs=("x", "y"), seeds=1)))
    charts = [chart for pair in ("x", "y") if (chart := loss_chart(groups, pair))]
    ids = [set(re.findall(r' id="([^"]+)"', chart.svg)) for chart in charts]
    assert len(charts) == 2
    assert not ids[0] & ids[1]
    assert charts[1].title == "Training loss, task part: y"
