"""Charts of the page: valid SVG whose colours, font and ids belong to the page."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from segdistill.report.charts import color_of, loss_chart, miou_chart
from segdistill.report.findings import Group, group
from segdistill.report.runs import read_runs

from .folders import make_cohort, make_run


def cohort(folder: Path) -> list[Group]:
    return group(read_runs(make_cohort(folder)))


def test_is_one_well_formed_picture_a_chart(tmp_path: Path) -> None:
    groups = cohort(tmp_path)
    for chart in (loss_chart(groups), miou_chart(groups)):
        assert chart is not None
        root = ElementTree.fromstring(chart)
        assert root.tag.endswith("svg")
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib
        assert len(chart) < 40_000


def test_takes_every_colour_and_the_font_from_the_page(tmp_path: Path) -> None:
    chart = miou_chart(cohort(tmp_path))
    assert chart is not None
    assert not re.findall(r"(?:fill|stroke): #", chart)
    assert {f"var(--s{n})" in chart for n in range(4)} == {True}
    assert "currentColor" in chart
    assert set(re.findall(r"font-family: ([^;\"]+)", chart)) == {"inherit"}
    assert "<style" not in chart


def test_ids_are_prefixed_and_all_referred_to(tmp_path: Path) -> None:
    groups = cohort(tmp_path)
    loss, miou = loss_chart(groups), miou_chart(groups)
    assert loss is not None
    assert miou is not None
    for name, chart in (("task", loss), ("miou", miou)):
        ids = re.findall(r' id="([^"]+)"', chart)
        referred = re.findall(r'(?:url\(#|href="#)([^")]+)', chart)
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


def test_teachers_are_grey_and_students_have_colours_of_their_own(tmp_path: Path) -> None:
    groups = cohort(tmp_path)
    assert [color_of(one, groups) for one in groups] == ["--s0", "--s1", "--s2", "--s3"]


def test_the_loss_is_the_part_that_every_method_has(tmp_path: Path) -> None:
    groups = cohort(tmp_path)
    chart = loss_chart(groups)
    assert chart is not None
    # The fixture's task loss is the same in all four runs, their whole loss is not.
    lines = re.findall(r'<path d="([^"]+)"[^>]*stroke: var\(--s\d\)', chart)
    assert len(lines) == 4
    assert len(set(lines)) == 1
