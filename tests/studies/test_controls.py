"""Control arms: one word in a study file, an ordinary method in the study."""

from pathlib import Path
from typing import Any, get_args

import pytest
from tests.studies.conftest import SMALL

from segdistill.catalogue.controls import CONTROLS
from segdistill.config import StudyConfig, check_study, override
from segdistill.config.ensembles import networks_of
from segdistill.config.identity import identity_of_study
from segdistill.config.studies import MethodConfig
from segdistill.errors import ConfigError
from segdistill.runs.measured import CohortCost, LearnerCost
from segdistill.runs.result import read_result
from segdistill.runs.settings import read_settings, write_settings
from segdistill.runs.study import (
    find_final_runs,
    own_teacher_folder,
    read_study_settings,
    write_study_results,
)
from segdistill.studies.cohorts import matched_steps, split_cohorts
from segdistill.studies.results import summarize_study
from segdistill.studies.runner import run_study
from segdistill.studies.runs import base_config, final_config
from segdistill.studies.verify import verify_study


def study(*words: str, **sections: Any) -> StudyConfig:
    tree = SMALL | {"controls": list(CONTROLS)} | sections
    return check_study(override(tree, words))


def test_the_words_of_a_study_file_are_those_of_the_table() -> None:
    words = get_args(get_args(MethodConfig.model_fields["control"].annotation)[0])
    assert words == tuple(CONTROLS)


def test_each_word_is_a_method_after_the_others() -> None:
    found = study()
    assert list(found.methods) == ["plain", "kl", "lad", *CONTROLS]
    assert found.methods["random_teacher"].distill == found.methods["kl"].distill
    assert check_study(found.tree()) == found
    assert study(controls=[]).hash() == check_study(SMALL).hash()


def test_what_each_changes_in_a_run() -> None:
    configs = {method: base_config(study(), "student", method) for method in study().methods}
    assert configs["longer"] == configs["plain"]  # but for its steps
    assert configs["label_smoothing"].training.label_smoothing == 0.1
    random, own = configs["random_teacher"].teacher, configs["self_distillation"].teacher
    assert random is not None
    assert own is not None
    assert (random.network, random.untrained, random.weights) == ("fcn", True, None)
    assert (own.network, own.untrained) == ("lraspp", True)  # until it is trained
    assert configs["plain_again"] == configs["plain"]  # but for its seed
    hard = configs["hard_labels"]
    assert [term.loss for term in hard.distill] == ["hard_labels"]
    assert hard.training.task.weight == 0
    assert configs["plain"].hash() == base_config(check_study(SMALL), "student", "plain").hash()


def test_plain_again_has_the_batches_of_its_seed_and_other_initial_weights() -> None:
    found = study(controls=["plain_again"])
    plain, again, other = (
        final_config(found, "student", method, {}, seed).tree()
        for method, seed in (("plain", 3), ("plain_again", 3), ("plain_again", 4))
    )
    assert again["data"] == plain["data"]
    seeds = {plain["training"].pop("seed"), again["training"].pop("seed")}
    assert len({*seeds, other["training"]["seed"]}) == 3
    assert again == plain


def test_the_random_teacher_beside_an_ensemble_is_one_of_random_members() -> None:
    def of_two(folder: str) -> StudyConfig:
        member = {"network": "fcn", "backbone": "resnet10t", "weights": f"{folder}/a.safetensors"}
        return study(teacher={"network": "ensemble", "members": [member, member]})

    random = base_config(of_two("here"), "student", "random_teacher").teacher
    assert random is not None
    states = [(one.untrained, one.weights) for one in networks_of(random).values()]
    assert states == [(True, None)] * 2
    assert identity_of_study(of_two("here")) == identity_of_study(of_two("there"))


def test_longer_gets_the_seconds_of_the_dearest_method_before_it() -> None:
    cost = {"plain": 0.1, "kl": 0.1, "lad": 0.3, "longer": 0.1, "hard_labels": 9.0}
    measured = CohortCost(0.1, 0.2, {m: LearnerCost(s, None, None) for m, s in cost.items()}, None)
    found = study(controls=["longer", "hard_labels"])
    steps = {method: matched_steps(found, measured, method, 100) for method in cost}
    # 100 (0.1 + 0.2 + 0.3) seconds in steps of 0.1 + 0.1
    assert steps == dict.fromkeys(cost, 100) | {"longer": 300}


def test_controls_of_other_teachers_are_cohorts_of_their_own() -> None:
    controls = ["label_smoothing", "self_distillation", "hard_labels"]
    found = study(controls=controls)
    configs = {method: base_config(found, "student", method) for method in found.methods}
    cost = CohortCost(0.1, 0.1, {m: LearnerCost(0.1, 1.0, 2.0) for m in configs}, None)
    cohorts = [list(cohort) for cohort in split_cohorts(configs, cost, memory_mib=1000)]
    assert cohorts == [
        ["plain", "kl", "lad", "label_smoothing", "hard_labels"],
        ["self_distillation"],
    ]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"controls": ["longest"]}, "controls: unknown control 'longest'; did you mean 'longer'"),
        ({"controls": ["longer", "longer"]}, "expected a list of distinct names"),
        (
            {"controls": [], "methods": {"plain_again": [{"loss": "pixelwise_kl"}]}},
            "methods.plain_again: expected plain_again to be the control of that name",
        ),
        ({"controls": ["longer"], "match": "seconds"}, "expected no 'longer' with match: seconds"),
        (
            {"controls": ["longer"], "methods": {"longer": [{"loss": "pixelwise_kl"}]}},
            "expected no method called longer",
        ),
    ],
)
def test_wrong_words_are_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study(**sections)


@pytest.mark.long
def test_a_study_of_controls_is_trained_and_verified(tmp_path: Path) -> None:
    controls = list(CONTROLS)
    words = ("search.trials=0", "seeds=1", "training.steps=2")
    methods = {"kl": [{"loss": "pixelwise_kl"}]}
    found = run_study(study(*words, controls=controls, methods=methods), tmp_path)
    write_study_results(tmp_path, summarize_study(found, tmp_path))
    runs = {run.method: run.folder for run in find_final_runs(tmp_path)}
    assert set(runs) == {"plain", "kl", *controls}
    teacher = own_teacher_folder(tmp_path, "student")
    settings = read_settings(runs["self_distillation"])["teacher"]
    assert settings["weights"] == str(teacher / "model.safetensors")
    assert read_result(teacher).seed not in found.seeds
    assert read_result(runs["longer"]).steps >= 2
    assert check_study(read_study_settings(tmp_path)) == found
    # The small study's own teacher knows nothing, as the random one, and longer may be no longer.
    assert {fault.check for fault in verify_study(tmp_path)} <= {"copies"}
    settings = read_settings(own_teacher_folder(tmp_path, "student"))
    settings["training"]["lr"] = 0.5
    write_settings(own_teacher_folder(tmp_path, "student"), settings)
    assert "own teachers" in {fault.check for fault in verify_study(tmp_path)}


@pytest.mark.parametrize(
    ("shifts", "message"),
    [
        (
            {"nose": [1]},
            "evaluation.shifts: expected names among noise, blur, contrast, .* got nose",
        ),
        ({"noise": [6]}, "evaluation.shifts.noise: expected a list of whole numbers from 1 to 5"),
    ],
)
def test_wrong_shifts_are_refused(shifts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study(evaluation={"shifts": shifts})
