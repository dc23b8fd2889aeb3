"""The search: the same trials for all, spaces from the file, and what a study refuses."""

import json
from collections.abc import Callable

import pytest

from segdistill.config import Range, RunConfig, StudyConfig, Tree
from segdistill.config.loading import check_tree
from segdistill.errors import ConfigError
from segdistill.runs.measured import CohortCost, LearnerCost
from segdistill.studies import runs as module
from segdistill.studies.plan import describe
from segdistill.studies.runs import final_config, trial_config
from segdistill.studies.search import all_spaces, check_runs, suggest_round

Make = Callable[..., StudyConfig]


def test_by_default_rate_decay_and_weights_are_searched_around_the_files_values(
    small: Make,
) -> None:
    spaces = all_spaces(small(), "student")
    assert set(spaces) == {"plain", "kl", "lad"}
    rate = Range(low=0.005, high=0.08, log=True)
    decay = Range(low=5e-5, high=5e-3, log=True)
    assert spaces["plain"] == {"training.lr": rate, "training.weight_decay": decay}
    assert set(spaces["kl"]) == {*spaces["plain"], "distill.0.weight"}


def test_a_method_may_have_its_own_space_on_top_of_the_shared_one(small: Make) -> None:
    kl = {"distill": [{"loss": "pixelwise_kl"}], "space": {"distill.0.temperature": [1, 2]}}
    study = small(methods={"kl": kl}, search={"space": {"training.lr": [0.01, 0.02]}})
    assert all_spaces(study, "student")["kl"] == {
        "training.lr": (0.01, 0.02),
        "distill.0.temperature": (1, 2),
    }


def test_without_trials_nothing_is_searched(small: Make) -> None:
    assert all_spaces(small("search.trials=0"), "student") == {"plain": {}, "kl": {}, "lad": {}}


def test_the_first_trial_tries_what_the_file_says(small: Make) -> None:
    first = suggest_round(small(), "student", 0, [])
    assert first["plain"] == {"training.lr": 0.02, "training.weight_decay": 5e-4}
    assert first["lad"]["distill.0.weight"] == 10.0  # the paper's, from the table of losses
    second = suggest_round(small(), "student", 1, [])
    assert second["plain"] != first["plain"]
    assert len({str(params) for params in second.values()}) == 3


def test_trials_are_scored_on_training_images_and_final_runs_are_not(small: Make) -> None:
    study = small("search.steps=2")
    params = {"training.lr": 0.03, "distill.0.weight": 2.5}
    trial = trial_config(study, "student", "kl", params, 1)
    final = final_config(study, "student", "kl", params, 1)
    assert (trial.data.holdout, trial.evaluation.split, trial.training.steps) == (0.3, "holdout", 2)
    assert (final.data.holdout, final.evaluation.split, final.training.steps) == (0.0, "val", 4)
    assert trial.distill[0].weight == final.distill[0].weight == 2.5
    assert trial.training.lr == final.training.lr == 0.03
    assert (final.data.seed, final.training.seed) == (1, 1)
    other = trial_config(study, "student", "plain", {}, 1)
    assert other.data == trial.data
    assert trial_config(study, "student", "kl", params, 0).data.seed != trial.data.seed


def test_a_grid_must_be_as_large_for_every_method(small: Make) -> None:
    space = {"training.lr": [0.01, 0.02]}
    kl = {"distill": [{"loss": "pixelwise_kl"}], "space": {"distill.0.weight": [1.0, 2.0]}}
    lad = {"distill": [{"loss": "layer_angular"}], "space": {"distill.0.weight": [1.0, 2.0]}}
    search = {"sampler": "grid", "trials": 4, "space": space}
    with pytest.raises(ConfigError, match="as the grid of plain has cells"):
        check_runs(small(methods={"kl": kl, "lad": lad}, search=search))
    plain = {"space": {"training.lr": [0.005, 0.01, 0.02, 0.04]}}
    check_runs(small(methods={"plain": plain, "kl": kl, "lad": lad}, search=search))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search.space={data.batch_size: [2, 4]}"], "changes the batches of all"),
        (["search.space={training.lrr: [0.1]}"], "training.lrr'; did you mean 'lr'"),
        (["methods.kl=[{loss: pixelwise_kl, wieght: 1}]"], "unknown key 'methods.kl.0.wieght'"),
        (["training.devices=2"], "training.devices: expected 1"),
        (["search.pruning={rungs: 3}"], "divisible 3 times by 2, got 4"),
        (["search.space={training.lr: []}"], "expected values to search"),
        (["search.space={training.lr: [0.1, -1]}"], "above 0, got -1"),
        (["search.space={training.lr: {low: 1, high: 0.1}}"], "expected low below high"),
        (
            ["search.space={training.weight_decay: {low: 0, high: 1, log: true}}"],
            "above 0 on a logarithmic",
        ),
    ],
)
def test_refuses_a_study_that_cannot_be_run(small: Make, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_runs(small(*words))


def test_what_is_missing_is_said_before_anything_is_run(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdistill.studies.packages.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="the package optuna, got none"):
        check_runs(small())
    with pytest.raises(ConfigError, match=r"the package ray, got none.*--engine local"):
        check_runs(small("search.trials=0", "engine.name=ray"))
    check_runs(small("search.trials=0"))


def test_no_trial_has_a_seed_of_the_comparison(small: Make) -> None:
    seeds = [trial_config(small(), "student", "kl", {}, n).data.seed for n in range(20)]
    assert len(set(seeds)) == 20
    taken = small(f"seeds={seeds[:3]}")
    others = {trial_config(taken, "student", "kl", {}, n).data.seed for n in range(20)}
    assert not others & set(taken.seeds)
    assert len(others) == 20


def test_a_search_may_not_change_the_student_or_repeat_it(small: Make) -> None:
    for path in ("student.width", "training.seed"):
        kl = {"distill": [{"loss": "pixelwise_kl"}], "space": {path: [8, 16]}}
        with pytest.raises(ConfigError, match=f"{path}: expected a setting of distill or"):
            check_runs(small(methods={"kl": kl}))


def test_planning_checks_each_distinct_config_once(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def count(tree: Tree) -> RunConfig:
        checked.append(json.dumps(tree, sort_keys=True))
        return check_tree(tree)

    monkeypatch.setattr(module, "check_tree", count)
    module._check.cache_clear()  # of what other tests planned
    study = small("search.steps=3", "search.sampler=random")
    costs = {
        pair: CohortCost(0.1, 0.1, {m: LearnerCost(0.1, 1.0, 2.0) for m in study.methods}, None)
        for pair in study.pairs
    }
    check_runs(study)
    plan = describe(study, costs)
    assert len(checked) == len(set(checked)) >= sum(len(job.learners) for job in plan.jobs)
    before = len(checked)
    check_runs(study)
    describe(study, costs)
    assert len(checked) == before
