"""Times of networks: one for a network, the teacher's from its students' measurement."""

from pathlib import Path

import pytest

from segdistill.reporting.groups import group
from segdistill.reporting.page import render
from segdistill.reporting.runs import read_runs
from segdistill.reporting.timings import Timing, timings
from segdistill.runs.result import StudentCost

from .folders import make_run
from .material import of_runs


def cost(ms: float, moment: str | None, teacher: float | None = None, **more: float) -> StudentCost:
    return StudentCost(
        params_m=0.27,
        gflops=1.35,
        cost_size=(360, 480),
        latency_ms=ms,
        latency_low_ms=ms - 1,
        latency_high_ms=ms + 2,
        teacher_latency_ms=teacher,
        timed=moment,
        **more,
    )


def test_equal_networks_have_one_time_and_a_teacher_that_of_its_students(tmp_path: Path) -> None:
    teacher = make_run(tmp_path / "t", name="teacher", params_m=11.7, latency_ms=32.0)
    plain = {"cost": cost(21.0, "noon", 90.0)}
    other = {"cost": cost(25.0, "night", 94.0)}
    runs = [
        make_run(tmp_path / "p", name="plain", teacher=teacher, changed=plain),
        make_run(tmp_path / "k", name="kl", losses=["kl"], teacher=teacher, changed=other),
        teacher,
    ]
    found = timings(group(read_runs(runs)))
    assert found.of["plain"] == found.of["kl"] == Timing(23.0, 20.0, 27.0)
    assert found.of["teacher"] == Timing(92.0, None, None)
    assert (found.moments, found.others) == (2, None)
    page = render(of_runs(runs), title="x")
    assert "measured at 2 different moments: small differences" in page
    assert "32.0" not in page


def test_a_teacher_that_nobody_timed_has_its_own_time(tmp_path: Path) -> None:
    teacher = make_run(tmp_path / "t", name="teacher", params_m=11.7, latency_ms=32.0)
    plain = make_run(tmp_path / "p", name="plain", teacher=teacher)
    found = timings(group(read_runs([teacher, plain])))
    assert found.of["teacher"].ms == 32.0
    assert found.moments == 2


def test_other_networks_have_other_times(tmp_path: Path) -> None:
    wide = {"student": {"width": 128}}
    runs = [
        make_run(tmp_path / "p", name="plain", changed={"cost": cost(21.0, "noon")}),
        make_run(tmp_path / "w", name="wide", changed={"cost": cost(40.0, "noon")}, settings=wide),
    ]
    found = timings(group(read_runs(runs)))
    assert [found.of[name].ms for name in ("plain", "wide")] == [21.0, 40.0]
    assert found.moments == 1
    assert ", all of them in turns." in render(of_runs(runs), title="x")


@pytest.mark.parametrize(("share", "said"), [(0.09, False), (0.34, True)])
def test_busy_is_said_from_a_tenth_on(share: float, said: bool, tmp_path: Path) -> None:
    busy = {"cost": cost(21.0, "noon", latency_others=share)}
    page = render(of_runs([make_run(tmp_path / "p", name="plain", changed=busy)]), title="x")
    assert ("<b>The machine was busy:</b> other programs took 34 %" in page) == said
