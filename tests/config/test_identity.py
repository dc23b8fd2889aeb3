"""Identity: what changes the weights of a run counts, places and the machine do not."""

from typing import Any

import pytest

from segdistill.config import RunConfig, check, check_study, override, put
from segdistill.config.identity import (
    differing,
    identity_of,
    identity_of_study,
    in_words,
    other_settings,
)

RUN: dict[str, Any] = {
    "data": {"dataset": "folder", "root": "own", "crop": [48, 64], "batch_size": 4},
    "teacher": {"network": "fcn", "weights": "t.safetensors"},
    "student": {"network": "lraspp"},
    "distill": [{"loss": "pixelwise_kl"}],
    "training": {"steps": 6},
}


def run(*words: str) -> RunConfig:
    return check(override(RUN, words))


@pytest.mark.parametrize(
    "word",
    [
        "data.root=moved",
        "data.workers=3",
        "data.on_error=skip",
        "teacher.weights=elsewhere/t.safetensors",
        "training.device=cpu",
        "training.devices=2",
        "training.compile=auto",
        "training.deterministic=true",
        "training.evaluate_every=2",
        "training.checkpoint_every=7",
        "training.log_every=7",
        "training.tensorboard=true",
        "training.wandb=true",
        "training.mlflow=true",
        "evaluation.split=test",
        "evaluation.scales=[0.5]",
        "evaluation.flip=true",
        "evaluation.pictures=0",
    ],
)
def test_what_changes_no_weights_is_no_part(word: str) -> None:
    assert differing(identity_of(run()), identity_of(run(word))) == {}
    assert list(other_settings(run(), run(word))) == [word.partition("=")[0]]


@pytest.mark.parametrize(
    ("word", "path", "values"),
    [
        ("training.lr=0.5", "training.lr", (0.01, 0.5)),
        ("training.steps=9", "training.steps", (6, 9)),
        ("training.seed=1", "training.seed", (0, 1)),
        ("data.batch_size=8", "data.batch_size", (4, 8)),
        ("data.train_split=all", "data.train_split", ("train", "all")),
        ("distill.0.weight=2.0", "distill.0.weight", (1.0, 2.0)),
        ("teacher.width=32", "teacher.width", (None, 32)),
        ("student.dropout=0.3", "student.dropout", (0.1, 0.3)),
    ],
)
def test_what_changes_weights_is_named_with_both_values(
    word: str, path: str, values: tuple[Any, Any]
) -> None:
    found = differing(identity_of(run()), identity_of(run(word)))
    assert list(found) == [path]
    assert found[path][1] == values[1]


def test_a_plain_student_has_no_teacher_whichever_is_named() -> None:
    plain = run("distill=[]")
    assert identity_of(plain) == identity_of(run("distill=[]", "teacher=null"))
    assert differing(identity_of(run()), identity_of(plain))


def test_the_folder_of_a_network_is_a_place_and_its_name_is_not() -> None:
    def teacher(name: str) -> dict[str, Any]:
        return identity_of(check(put(RUN, "teacher", {"network": name})))

    assert teacher("hf:a") == teacher("hf:b")
    assert teacher("smp:unet") != teacher("smp:fpn")


def test_differences_are_said_in_words() -> None:
    before, now = {"a": 1, "b": None, "c": 1, "d": 1}, {"a": 2, "b": 3, "c": 2, "d": 2}
    assert in_words(differing(before, now)) == "a 1 (now 2), b none (now 3), c 1 (now 2) and 1 more"


def test_a_study_is_known_by_its_results() -> None:
    tree = {key: value for key, value in RUN.items() if key != "distill"}
    tree |= {"methods": {"kl": RUN["distill"]}}

    def study(*words: str) -> dict[str, Any]:
        return identity_of_study(check_study(override(tree, words)))

    assert study("data.root=moved", "engine.processes=2", "training.device=cpu") == study()
    assert study("teacher.weights=other/t.safetensors", "training.lr=0.01") == study()
    assert list(differing(study(), study("evaluation.flip=true"))) == ["evaluation.flip"]
    assert list(differing(study(), study("training.lr=0.5"))) == ["training.lr"]
