"""The verdict of a report: paired by seed, and never more than the numbers carry."""

from pathlib import Path

from segdistill.reporting.findings import caution, sentences
from segdistill.reporting.groups import Group, group
from segdistill.reporting.runs import read_runs

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


def test_too_few_seeds_are_named(tmp_path: Path) -> None:
    groups = study(tmp_path, seeds=5, gain=0.02)
    assert "no proof yet: so few seeds cannot give a p below 0.062" in sentences(groups)[0]
    told = caution(groups)
    assert told is not None
    assert "5 paired seeds cannot give a p below 0.062 here" in told
    assert "6 are needed to reach 0.05" in told


def test_students_of_other_networks_are_no_baseline(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "plain", name="plain")
    other = make_run(tmp_path / "other", name="kl", losses=["pixelwise_kl"])
    text = (other / "resolved.yaml").read_text()
    (other / "resolved.yaml").write_text(text.replace("mobilenetv2_035", "resnet18"))
    groups = group(read_runs([plain, other]))
    assert [one.comparison for one in groups] == [None, None]
    assert sentences(groups)[0] == "plain reaches 40.0 mIoU on 101 val images."
