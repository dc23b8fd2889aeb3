"""The verdict of a report: paired by seed, and never more than the numbers carry."""

from pathlib import Path

import pytest

from segdistill.report.findings import Group, caution, group, sentences
from segdistill.report.runs import read_runs

from .folders import make_cohort, make_run


def study(folder: Path, seeds: int, gain: float, losses: tuple[str, ...] = ("kl",)) -> list[Group]:
    """A plain student and methods that are ``gain`` better, give or take, on every seed."""
    folders = []
    for seed in range(seeds):
        noise = 0.01 * ((seed * 7) % 5)
        folders.append(
            make_run(folder / f"plain{seed}", name="plain", miou=0.35 + noise, seed=seed)
        )
        for loss in losses:
            wobble = 0.002 * (seed % 3 - 1)
            miou = 0.35 + noise + gain + wobble
            run = make_run(folder / f"{loss}{seed}", name=loss, miou=miou, losses=[loss], seed=seed)
            folders.append(run)
    return group(read_runs(folders))


def test_one_seed_proves_nothing_and_says_so(tmp_path: Path) -> None:
    groups = group(read_runs(make_cohort(tmp_path)))
    text = " ".join(sentences(groups))
    assert "On one seed, kl scored +2.7 and angular scored +2.2 mIoU points against plain" in text
    assert "no proof of a difference" in text
    assert "better" not in text
    assert "angular" in text
    assert "that of kl, is 7.2 points below the teacher's, with 43.3 times fewer param" in text
    told = caution(groups)
    assert told is not None
    assert "Repeat with 7 seeds or more" in told  # 2 methods: 2 / 2^6 = 0.031


def test_enough_paired_seeds_prove_a_gain(tmp_path: Path) -> None:
    groups = study(tmp_path, seeds=8, gain=0.02)
    assert [one.label for one in groups] == ["plain", "kl"]
    assert sentences(groups)[0].startswith("kl is better than plain: +2.0 mIoU points (95 % int")
    assert caution(groups) is None


def test_pairs_by_seed_and_not_by_order(tmp_path: Path) -> None:
    folders = [run.folder for one in study(tmp_path, seeds=6, gain=0.02) for run in one.runs]
    comparison = group(read_runs(folders[::-1]))
    found = next(one.comparison for one in comparison if one.comparison is not None)
    assert found.difference.high - found.difference.low < 0.006
    assert found.seeds == 6


def test_too_few_seeds_are_named(tmp_path: Path) -> None:
    groups = study(tmp_path, seeds=5, gain=0.02)
    assert "no proof yet: so few seeds cannot give a p below 0.062" in sentences(groups)[0]
    told = caution(groups)
    assert told is not None
    assert "5 paired seeds cannot give a p below 0.062 here" in told
    assert "6 are needed to reach 0.05" in told


def test_several_methods_share_the_risk(tmp_path: Path) -> None:
    groups = study(tmp_path, seeds=6, gain=0.02, losses=("kl", "angular"))
    found = [one.comparison for one in groups if one.comparison is not None]
    assert [comparison.p for comparison in found] == [2 / 64, 2 / 64]
    assert [comparison.p_holm for comparison in found] == [4 / 64, 4 / 64]
    assert not any("better" in sentence for sentence in sentences(groups))


def test_a_group_is_the_mean_of_its_seeds(tmp_path: Path) -> None:
    plain = study(tmp_path, seeds=3, gain=0.01)[0]
    mious = [run.result["miou"] for run in plain.runs]
    assert plain.miou == pytest.approx(sum(mious) / 3)
    assert plain.iou("sky") == pytest.approx(plain.miou + 0.3)
    assert plain.iou("pole <thin>") is None


def test_students_of_other_networks_are_no_baseline(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "plain", name="plain")
    other = make_run(tmp_path / "other", name="kl", losses=["pixelwise_kl"])
    text = (other / "resolved.yaml").read_text()
    (other / "resolved.yaml").write_text(text.replace("mobilenetv2_035", "resnet18"))
    groups = group(read_runs([plain, other]))
    assert [one.comparison for one in groups] == [None, None]
    assert sentences(groups)[0] == "plain reaches 40.0 mIoU on 101 val images."


def test_seeds_that_only_one_method_has_are_left_out(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"p{s}", name="plain", seed=s) for s in range(3)]
    runs += [make_run(tmp_path / f"k{s}", name="kl", losses=["kl"], seed=s) for s in (1, 2, 5)]
    found = [one.comparison for one in group(read_runs(runs)) if one.comparison is not None]
    assert [comparison.seeds for comparison in found] == [2]
