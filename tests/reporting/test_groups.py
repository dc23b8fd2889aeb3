"""Groups: runs that differ by seed alone, paired with the plain ones of their network."""

from pathlib import Path

import pytest

from segdistill.reporting.groups import Group, color_of, group, mean_ranks, panels
from segdistill.reporting.runs import read_runs
from segdistill.reporting.studies import read_study, study_groups

from .folders import make_cohort, make_run, make_study
from .test_findings import study as seeded


def test_pairs_by_seed_and_not_by_order(tmp_path: Path) -> None:
    folders = [run.folder for one in seeded(tmp_path, seeds=6, gain=0.02) for run in one.runs]
    comparison = group(read_runs(folders[::-1]))
    found = next(one.comparison for one in comparison if one.comparison is not None)
    assert found.difference.high - found.difference.low < 0.006
    assert found.seeds == 6


def test_several_methods_share_the_risk(tmp_path: Path) -> None:
    groups = seeded(tmp_path, seeds=6, gain=0.02, losses=("kl", "angular"))
    found = [one.comparison for one in groups if one.comparison is not None]
    assert [comparison.p for comparison in found] == [2 / 64, 2 / 64]
    assert [comparison.p_holm for comparison in found] == [4 / 64, 4 / 64]


def test_a_group_is_the_mean_of_its_seeds(tmp_path: Path) -> None:
    plain = seeded(tmp_path, seeds=3, gain=0.01)[0]
    mious = [run.result["miou"] for run in plain.runs]
    assert plain.miou == pytest.approx(sum(mious) / 3)
    assert plain.iou("sky") == pytest.approx(plain.miou + 0.3)
    assert plain.iou("pole <thin>") is None


def test_seeds_that_only_one_method_has_are_left_out(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"p{s}", name="plain", seed=s) for s in range(3)]
    runs += [make_run(tmp_path / f"k{s}", name="kl", losses=["kl"], seed=s) for s in (1, 2, 5)]
    found = [one.comparison for one in group(read_runs(runs)) if one.comparison is not None]
    assert [comparison.seeds for comparison in found] == [2]


def test_teachers_are_grey_and_students_have_colours_of_their_own(tmp_path: Path) -> None:
    groups = group(read_runs(make_cohort(tmp_path)))
    assert [color_of(one, groups) for one in groups] == ["--s0", "--s1", "--s2", "--s3"]


def test_a_method_has_one_colour_in_all_pairs_and_each_panel_the_teacher(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "study", pairs=("small", "large"), seeds=2))
    groups = study_groups(study)
    found = panels(groups)
    assert list(found) == ["small", "large"]
    names = [[one.name for one in members] for members in found.values()]
    assert names[0] == names[1] == ["teacher", "plain", "kl", "skd", "lad", "mgd"]
    colors = [[color_of(one, groups) for one in members] for members in found.values()]
    assert colors[0] == colors[1]
    assert len(set(colors[0])) == 6


def test_ranks_are_means_over_seeds(tmp_path: Path) -> None:
    runs = []
    for seed, (plain, kl) in enumerate([(0.3, 0.4), (0.35, 0.36), (0.4, 0.39)]):
        runs.append(make_run(tmp_path / f"p{seed}", name="plain", miou=plain, seed=seed))
        runs.append(make_run(tmp_path / f"k{seed}", name="kl", miou=kl, losses=["a"], seed=seed))
    groups = group(read_runs(runs))
    assert mean_ranks(groups) == pytest.approx({"plain": 5 / 3, "kl": 4 / 3})
    assert mean_ranks(groups[:1]) == {}
    assert mean_ranks([]) == {}


def test_means_are_over_the_runs_that_know_the_number(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", name="a", seed=0, params_m=2.0)]
    runs.append(make_run(tmp_path / "b", name="a", seed=1, params_m=None))
    own = Group("a", "a", tuple(read_runs(runs)))
    assert own.mean("params_m") == 2.0
    assert own.mean("energy_kwh") is None
    assert own.best == pytest.approx(0.404)
    assert own.deviation == pytest.approx(0.0, abs=1e-9)
