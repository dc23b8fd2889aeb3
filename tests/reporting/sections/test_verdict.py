"""The verdict of a report: paired by seed, and never more than the numbers carry."""

from pathlib import Path

import pytest

from segdistill.reporting.groups import Group, group
from segdistill.reporting.runs import read_runs
from segdistill.reporting.sections.verdict import caution, sentences, show

from ..folders import make_cohort, make_run
from ..material import of_runs


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
    assert "Repeat with 6 seeds or more" in told  # 2 / 2^6 = 0.031, for any number of methods


def test_enough_paired_seeds_prove_a_gain(tmp_path: Path) -> None:
    groups = study(tmp_path, seeds=8, gain=0.02)
    assert [one.label for one in groups] == ["plain", "kl"]
    assert sentences(groups)[0].startswith("kl is better than plain: +2.0 mIoU points (95 % int")
    assert caution(groups) is None


def test_too_few_seeds_are_named(tmp_path: Path) -> None:
    groups = study(tmp_path, seeds=5, gain=0.02)
    assert sentences(groups)[0].startswith("No difference between kl and plain was shown")
    assert "so few seeds cannot give a p below 0.062" in sentences(groups)[0]
    told = caution(groups)
    assert told is not None
    assert "5 paired seeds cannot give a p below 0.062 here" in told
    assert "6 are needed to reach 0.05" in told


def test_students_of_other_networks_are_no_baseline(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "plain", name="plain")
    other = make_run(
        tmp_path / "other",
        name="kl",
        losses=["pixelwise_kl"],
        settings={"student": {"backbone": "resnet18"}},
    )
    groups = group(read_runs([plain, other]))
    assert [one.comparison for one in groups] == [None, None]
    assert sentences(groups)[0] == "plain reaches 40.0 mIoU on 101 val images."


def test_runs_of_other_learning_rates_are_said_to_differ_in_it(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / f"{lr}", name="plain", settings={"training": {"lr": lr}})
        for lr in (0.01, 0.02)
    ]
    shown = show(of_runs(runs))
    assert shown["sentences"] == [
        "plain (lr 0.01) reaches 40.0 mIoU on 101 val images.",
        "plain (lr 0.02) reaches 40.0 mIoU on 101 val images.",
    ]
    assert shown["notes"][0].startswith(
        "Training differs between these runs in training.lr (0.01 or 0.02)."
    )


def test_a_seed_that_was_run_twice_is_said_and_counts_once(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"p{s}", name="plain", miou=0.4, seed=s) for s in (0, 1)]
    runs += [make_run(tmp_path / "again" / "p0", name="plain", miou=0.5, seed=0)]
    material = of_runs(runs)
    (group,) = material.groups
    assert (len(group.runs), group.seeds) == (3, 2)
    assert group.miou == pytest.approx((0.45 + 0.4) / 2)
    (note,) = show(material)["notes"]
    assert note.startswith("plain, seed 0 was run 2 times (")
    assert note.endswith("the mean of these runs counts as one seed.")


def test_a_plain_student_stands_beside_the_papers(tmp_path: Path) -> None:
    network = {"network": "deeplabv3", "backbone": "resnet18"}
    settings = {"student": network, "data": {"dataset": "cityscapes"}}
    runs = [make_run(tmp_path / "p", name="plain", miou=0.7012, settings=settings)]
    runs += [make_run(tmp_path / "k", name="kl", losses=["kl"], settings=settings)]
    (note,) = show(of_runs(runs))["notes"]
    assert note.startswith(
        "plain reaches 70.1 mIoU; papers report for deeplabv3 on resnet18 without distillation: "
        "74.2 (Yang et al., CVPR 2022, Table 1), 75.0 (Liu et al., WACV 2024, Table 1)."
    )
    other = make_run(tmp_path / "o", name="plain", settings={"data": {"dataset": "scenes"}})
    assert show(of_runs([other]))["notes"] == []


def test_scores_of_other_images_are_not_set_against_each_other(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "plain", name="plain")
    other = make_run(tmp_path / "kl", name="kl", losses=["kl"], changed={"split": "test"})
    shown = show(of_runs([plain, other]))
    assert len(shown["sentences"]) == 2
    assert "were not all scored on the same images" in shown["notes"][0]
