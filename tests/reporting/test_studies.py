"""Reading a study folder: what is planned, finished, failed, and still to come."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from segdistill.errors import RunFolderError
from segdistill.reporting.studies import read_study, study_groups
from segdistill.reporting.study_page import write_study_report
from segdistill.runs.result import read_result, write_result
from segdistill.runs.search import write_chosen
from segdistill.runs.study import final_folder, seed_folder

from .folders import make_study


def test_groups_have_the_order_of_the_plan_and_the_names_of_their_folders(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "study", seeds=3))
    groups = study_groups(study)
    assert [one.label for one in groups] == ["teacher", "plain", "kl", "skd", "lad", "mgd"]
    assert [len(one.runs) for one in groups] == [1, 3, 3, 3, 3, 3]
    assert groups[1].runs[2].label == "plain, seed 2"
    assert [one.baseline for one in groups] == [None, None, "plain", "plain", "plain", "plain"]
    assert len(study.runs) == 15


def test_further_plain_runs_of_a_seed_are_part_of_its_baseline(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", seeds=3)
    before = {one.label: one for one in study_groups(read_study(folder))}
    for seed in range(3):
        again = final_folder(folder, "student", seed, "plain_again")
        shutil.copytree(final_folder(folder, "student", seed, "plain"), again)
        own = read_result(again)
        write_result(again, replace(own, seed=900 + seed, miou=own.miou + 0.02))
    study = read_study(folder)
    groups = {one.label: one for one in study_groups(study)}
    assert set(groups) == set(before)
    plain = groups["plain"]
    assert (len(plain.runs), plain.seeds) == (6, 3)
    assert plain.runs[3].label == "plain_again, seed 0"
    for label in ("kl", "skd"):
        one, other = groups[label].comparison, before[label].comparison
        assert one is not None
        assert other is not None
        assert one.seeds == 3
        assert one.difference.estimate == pytest.approx(other.difference.estimate - 0.01)
    page = write_study_report(folder)[0].read_text(encoding="utf-8")
    assert "each with the mean of its plain runs" in page
    assert "plain_again, seed 0" in page


def test_pairs_are_compared_apart(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "study", pairs=("small", "large"), seeds=3))
    groups = study_groups(study)
    assert study.pairs == ("small", "large")
    assert [one.label for one in groups][:3] == ["teacher", "plain (small)", "kl (small)"]
    assert groups[-1].baseline == "plain (large)"
    assert groups[-1].panel == "large"
    assert {len(one.summary.differences) for one in groups if one.comparison} == {3}


def test_seeds_are_ordered_as_numbers(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "study", seeds=11))
    seeds = [run.result.seed for run in study.students["student"]["kl"]]
    assert seeds == list(range(11))


def test_a_failed_run_is_kept_with_its_error_and_leaves_the_comparison(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", seeds=4, failed={("kl", 2): "got nan"})
    study = read_study(folder)
    (failure,) = study.failures
    assert (failure.pair, failure.method, failure.seed) == ("student", "kl", 2)
    assert (failure.error, failure.step) == ("got nan", 36)
    assert study.unfinished == 0
    groups = {one.label: one for one in study_groups(study)}
    assert len(groups["kl"].runs) == 3
    assert [seed for seed, _ in groups["kl"].summary.differences] == [0, 1, 3]
    assert [seed for seed, _ in groups["lad"].summary.differences] == [0, 1, 2, 3]


def test_a_method_of_which_nothing_finished_takes_no_seeds_from_the_others(tmp_path: Path) -> None:
    failed = {("kl", seed): "got nan" for seed in range(3)}
    study = read_study(make_study(tmp_path / "study", seeds=3, failed=failed))
    groups = {one.label: one for one in study_groups(study)}
    assert "kl" not in groups
    assert len(study.failures) == 3
    assert len(groups["lad"].summary.differences) == 3


def test_an_interrupted_study_counts_what_is_to_come(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", seeds=3)
    shutil.rmtree(seed := folder / seed_folder("student", 2))
    assert not seed.exists()
    shutil.rmtree(final_folder(folder, "student", 1, "kl"))
    write_chosen(folder, {})
    study = read_study(folder)
    assert study.unfinished == 6
    assert study.chosen == {}
    assert len(study.trials) == 30


def test_a_teacher_that_is_not_on_this_machine_is_left_out(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", seeds=1)
    shutil.rmtree(tmp_path / "study-teacher")
    study = read_study(folder)
    assert study.teachers == {}
    assert study_groups(study)[0].label == "plain"


@pytest.mark.parametrize("changed", [{"split": "test"}, {"images": 500}, {"pixels": 1}])
def test_a_teacher_that_was_scored_on_other_images_is_left_out(
    tmp_path: Path, changed: Mapping[str, object]
) -> None:
    folder = make_study(tmp_path / "study", seeds=1)
    teacher = tmp_path / "study-teacher"
    assert list(read_study(folder).teachers) == ["student"]
    write_result(teacher, replace(read_result(teacher), **changed))  # type: ignore[arg-type]
    assert read_study(folder).teachers == {}


def test_a_study_without_a_finished_run_says_why(tmp_path: Path) -> None:
    failed = {("plain", 0): "no such file"}
    methods = {"plain": ((), 0.0)}
    folder = make_study(tmp_path / "study", seeds=1, failed=failed, methods=methods)
    with pytest.raises(RunFolderError, match="got none, 1 failed, the first: no such file"):
        read_study(folder)
