"""Groups: runs that differ by seed alone, paired with the plain ones of their network."""

from pathlib import Path

import pytest

from segdistill.reporting.groups import color_of, group, panels
from segdistill.reporting.runs import read_runs
from segdistill.reporting.studies import read_study, study_groups
from segdistill.runs.confusion import Confusion, read_confusion, write_confusion
from segdistill.runs.identity import Identity, write_identity

from .folders import make_cohort, make_run, make_study
from .sections.test_verdict import study as seeded


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
    mious = [run.result.miou for run in plain.runs]
    assert plain.miou == pytest.approx(sum(mious) / 3)
    assert plain.summary.iou("sky") == pytest.approx(plain.miou + 0.3)
    assert plain.summary.iou("pole <thin>") is None


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


def rates(folder: Path, lrs: list[tuple[str, float, int]]) -> list[Path]:
    """Runs of a method, a learning rate and a seed each."""
    return [
        make_run(
            folder / f"{name}-{lr}-{seed}",
            name=name,
            losses=[] if name == "plain" else [name],
            seed=seed,
            settings={"training": {"lr": lr}},
        )
        for name, lr, seed in lrs
    ]


def test_runs_of_other_learning_rates_are_other_groups(tmp_path: Path) -> None:
    runs = rates(tmp_path, [("kl", 0.01, 0), ("kl", 0.02, 0), ("kl", 0.02, 1)])
    groups = group(read_runs(runs))
    assert [one.label for one in groups] == ["kl (lr 0.01)", "kl (lr 0.02)"]
    assert [one.seeds for one in groups] == [1, 2]
    assert [one.deviation is None for one in groups] == [True, False]


def test_a_method_is_compared_with_the_plain_student_that_was_trained_alike(tmp_path: Path) -> None:
    runs = rates(tmp_path, [("plain", 0.01, 0), ("plain", 0.02, 0), ("kl", 0.02, 0)])
    groups = {one.label: one for one in group(read_runs(runs))}
    assert groups["kl"].baseline == "plain (lr 0.02)"
    alone = rates(tmp_path / "alone", [("plain", 0.01, 0), ("kl", 0.02, 0)])
    assert [one.comparison for one in group(read_runs(alone))] == [None, None]


@pytest.mark.parametrize(
    "settings",
    [
        {"data": {"batch_size": 4}},
        {"training": {"steps": 20}},
        {"teacher": {"network": "fcn"}},
        {"distill": {}},
    ],
    ids=["data", "steps", "teacher", "terms"],
)
def test_everything_but_the_seed_keeps_runs_apart(
    tmp_path: Path, settings: dict[str, dict[str, object]]
) -> None:
    losses = ["kl"] if "distill" not in settings else ["kl", "mgd"]
    own = {key: value for key, value in settings.items() if key != "distill"}
    runs = [
        make_run(tmp_path / "a", name="kl", losses=["kl"]),
        make_run(tmp_path / "b", name="kl", losses=losses, seed=1, settings=own),
    ]
    groups = group(read_runs(runs))
    assert [len(one.runs) for one in groups] == [1, 1]
    assert len({one.label for one in groups}) == 2


@pytest.mark.parametrize("key", ["device", "devices", "checkpoint_every", "log_every"])
def test_what_changes_no_weights_keeps_runs_together(tmp_path: Path, key: str) -> None:
    runs = [
        make_run(tmp_path / "a", name="a", settings={"data": {"root": "here", "workers": 0}}),
        make_run(
            tmp_path / "b",
            name="a",
            seed=1,
            settings={"data": {"root": "there", "workers": 2}, "training": {key: 7}},
        ),
    ]
    assert [one.seeds for one in group(read_runs(runs))] == [2]


def test_two_runs_of_one_config_and_seed_are_both_there_and_count_once(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"{n}" / "a", name="a", miou=0.4 + n / 10) for n in range(2)]
    (own,) = group(read_runs(runs))
    assert [run.label for run in own.runs] == ["a, 0/a", "a, 1/a"]
    assert (own.seeds, own.deviation) == (1, None)
    assert own.miou == pytest.approx(0.45)


def test_scores_of_other_images_share_no_panel_and_no_comparison(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / "p", name="plain"),
        make_run(tmp_path / "k", name="kl", losses=["kl"], changed={"images": 500}),
    ]
    groups = group(read_runs(runs))
    assert list(panels(groups)) == ["camvid, 101 val images", "camvid, 500 val images"]
    assert [one.comparison for one in groups] == [None, None]


def test_runs_on_other_labels_are_no_seeds_of_one_group(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(seed), name="plain", seed=seed) for seed in range(2)]
    assert [one.seeds for one in group(read_runs(runs))] == [2]
    found = read_confusion(runs[1])
    assert found is not None
    write_confusion(runs[1], Confusion(found.classes, found.counts[::-1]))
    groups = group(read_runs(runs))
    assert [one.seeds for one in groups] == [1, 1]
    assert all("labels sha256" in panel for panel in panels(groups))


def test_runs_on_other_training_masks_are_no_seeds_of_one_group(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(seed), name="plain", seed=seed) for seed in range(3)]
    for run, masks in zip(runs, "aab", strict=True):
        write_identity(run, Identity(contents={"data.masks": masks * 64}))
    assert [one.seeds for one in group(read_runs(runs))] == [2, 1]
    write_identity(runs[2], Identity())  # as older releases did
    assert [one.seeds for one in group(read_runs(runs))] == [3]


def test_ranks_are_means_over_seeds(tmp_path: Path) -> None:
    runs = []
    for seed, (plain, kl) in enumerate([(0.3, 0.4), (0.35, 0.36), (0.4, 0.39)]):
        runs.append(make_run(tmp_path / f"p{seed}", name="plain", miou=plain, seed=seed))
        runs.append(make_run(tmp_path / f"k{seed}", name="kl", miou=kl, losses=["a"], seed=seed))
    ranks = {one.label: one.summary.rank for one in group(read_runs(runs))}
    assert ranks == pytest.approx({"plain": 5 / 3, "kl": 4 / 3})


def test_a_mean_is_over_all_runs_or_there_is_none(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", name="a", seed=0, params_m=2.0)]
    runs.append(make_run(tmp_path / "b", name="a", seed=1, params_m=None))
    (own,) = group(read_runs(runs))
    assert own.summary.mean_of("params_m") is None
    assert own.summary.mean_of("seconds") == 612.4
    assert own.summary.best_mean == pytest.approx(0.404)
    assert own.deviation == pytest.approx(0.0, abs=1e-9)


def test_teachers_are_told_apart_by_their_contents_where_all_runs_know_them(
    tmp_path: Path,
) -> None:
    def make(name: str, seed: int, weights: str, digest: str | None) -> Path:
        settings = {"teacher": {"network": "fcn", "weights": weights}}
        run = make_run(
            tmp_path / name, name="kl", losses=["pixelwise_kl"], seed=seed, settings=settings
        )
        if digest is not None:
            write_identity(run, Identity(contents={"teacher.weights": digest}))
        return run

    moved = [make("a", 0, "a/t.safetensors", "1" * 64), make("b", 1, "b/t.safetensors", "1" * 64)]
    assert [one.seeds for one in group(read_runs(moved))] == [2]
    replaced = [*moved, make("c", 2, "b/t.safetensors", "2" * 64)]
    assert [one.seeds for one in group(read_runs(replaced))] == [2, 1]
    older = [make("d", 0, "t.safetensors", None), make("e", 1, "t.safetensors", "1" * 64)]
    assert [one.seeds for one in group(read_runs(older))] == [2]


def test_an_extended_run_is_no_seed_of_those_that_had_all_steps(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(seed), name="plain", seed=seed) for seed in range(2)]
    for run, extended in zip(runs, ((6,), ()), strict=True):
        write_identity(run, Identity(extended=extended))
    assert [one.seeds for one in group(read_runs(runs))] == [1, 1]
