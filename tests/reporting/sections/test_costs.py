"""Costs: what was measured, nothing that was not, and what cohorts save."""

from pathlib import Path

import pytest

from segdistill.reporting.groups import group
from segdistill.reporting.runs import read_runs
from segdistill.reporting.sections.costs import cost, meters, sharing, show
from segdistill.reporting.studies import read_study, study_groups
from segdistill.studies.summary import Sharing

from ..folders import make_cohort, make_run, make_study
from ..material import of_study_folder


def test_costs_are_means_of_what_was_measured(tmp_path: Path) -> None:
    groups = {one.label: one for one in study_groups(read_study(make_study(tmp_path / "s")))}
    skd = cost(groups["skd"], "--s3")
    assert (skd.seconds, skd.shared_seconds) == (650.0, 270.0)
    assert skd.energy_kwh == pytest.approx(0.015)
    assert skd.co2_kg == pytest.approx(0.0072)
    assert cost(groups["plain"], "--s1").shared_seconds == 30.0
    teacher = cost(groups["teacher"], "--s0")
    assert (teacher.energy_kwh, teacher.co2_kg, teacher.shared_seconds) == (None, None, None)


def test_a_studys_costs_are_those_of_its_own_runs(tmp_path: Path) -> None:
    shown = show(of_study_folder(make_study(tmp_path / "s", seeds=2)))
    assert shown is not None
    assert [one.label for one in shown["costs"]] == ["plain", "kl", "skd", "lad", "mgd"]


def test_a_cohort_reads_and_teaches_once(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "s", seeds=2))
    found = sharing(study.runs)
    assert found is not None
    own = 5 * 300 + 40 * (0 + 1 + 2 + 2 + 1)
    assert found.runs == 10
    assert found.together == pytest.approx(2 * (own + 270))
    assert found.apart == pytest.approx(2 * (own + 5 * 30 + 4 * 240))


def test_a_run_beside_a_cohort_is_none_of_it(tmp_path: Path) -> None:
    shared = {"batch_seconds": 3.25, "teacher_seconds": 4.0, "own_seconds": 10.0, "seconds": 17.25}
    alone = {"batch_seconds": 2.5, "teacher_seconds": 0.0, "own_seconds": 90.0, "seconds": 92.5}
    folders = [
        make_run(tmp_path / name, name=name, losses=[name], changed=changed)
        for name, changed in (("teacher", alone), ("a", shared), ("b", shared))
    ]
    found = sharing(read_runs(folders))
    assert found == Sharing(2, 27.25, 34.5, None)


def test_nothing_is_said_where_nothing_is_known(tmp_path: Path) -> None:
    runs = read_runs(make_cohort(tmp_path))
    assert sharing(runs) is None
    assert meters(runs) == []
    assert cost(group(runs)[0], "--s0").energy_kwh is None


def test_meters_are_named(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "s", seeds=1))
    assert meters(study.runs) == ["of the processor, by RAPL"]
