"""Which student: the front, the path and the choice on the page of a search."""

from pathlib import Path
from xml.etree import ElementTree

from segdistill.reporting.page import render
from segdistill.reporting.sections.students import front_plot, path_plots, show
from segdistill.runs.students import FinalScore, Found, Student, Time

from ..folders import make_run
from ..material import of_runs


def student(number: int, family: str, ms: float, miou: float | None, **changes: object) -> Student:
    known: dict[str, object] = {
        "name": f"{family}-{number}",
        "number": number,
        "family": family,
        "student": {"network": family, "width": 8 + number},
        "status": "done",
        "time": Time(ms, ms - 0.5, ms + 0.5, 0.25, 0.1),
        "fits": True,
        "miou": miou,
        "low": None if miou is None else miou - 0.05,
        "high": None if miou is None else miou + 0.05,
    }
    return Student(**(known | changes))  # type: ignore[arg-type]


def found() -> Found:
    students = (
        student(0, "lraspp", 5.0, 0.4, on_front=True),
        student(1, "fpn", 9.0, 0.45, on_front=True),
        student(2, "fpn", 12.0, 0.5, fits=False, on_front=True),
        student(3, "fpn", 6.0, 0.2, status="pruned", low=None, high=None),
        student(4, "regseg", 80.0, None, status="too slow", fits=False),
        student(5, "regseg", 0.0, None, status="refused", time=None, error="too <small>"),
    )
    final = FinalScore(
        split="val",
        images=60,
        seeds={0: 0.41, 1: 0.43},
        mean=0.42,
        deviation=0.014,
        low=0.38,
        high=0.46,
        failed={},
    )
    return Found(
        hash="abc",
        limit_ms=10.0,
        size=(48, 64),
        device="a clock",
        threads=1,
        others=0.6,
        space=9,
        images=12,
        students=students,
        best="fpn-1",
        chosen="lraspp-0",
        equals=("lraspp-0",),
        reasons=("so the cheaper wins: lraspp-0",),
        final=final,
        command="segdistill export out/run --format onnx",
    )


def test_the_front_is_drawn_with_what_is_over_the_limit_and_what_was_chosen() -> None:
    figure = front_plot(found())
    assert ElementTree.fromstring(figure.svg).tag.endswith("svg")
    assert "lraspp-0: 40.0 % at 5 ms; fpn-1: 45.0 % at 9 ms; fpn-2: 50.0 % at 12 ms" in figure.alt
    assert "Vertical line: the limit, 10 ms." in figure.caption
    assert list(figure.legend) == ["lraspp", "fpn"], "no student of regseg was trained"


def test_the_path_counts_every_student_also_without_a_score() -> None:
    scores, times = path_plots(found())
    assert "6 students: 3 done, 1 pruned, 1 too slow, 1 refused" in scores.alt
    assert times.alt == "1 of 6 students were too slow to be trained."


def test_a_page_of_a_search_says_what_was_chosen_and_how_to_export_it(tmp_path: Path) -> None:
    material = of_runs([make_run(tmp_path / "lraspp-0", name="lraspp-0")])
    assert show(material) is None
    material = type(material)(material.groups, search=found())
    page = render(material, title="found")
    assert "segdistill search" in page
    assert "So the cheaper wins: lraspp-0." in page
    assert "segdistill export out/run --format onnx" in page
    assert "other programs took 60 %" in page
    assert "too &lt;small&gt;" in page
