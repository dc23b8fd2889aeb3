"""Words of other trainers are answered with the key that is meant, and lose nothing."""

import re

import pytest

from segdistill import config
from segdistill.config.loading import load_config
from segdistill.config.mistakes import _ELSEWHERE
from segdistill.config.rows import section_settings
from segdistill.errors import ConfigError

TREE: config.Tree = {
    "data": {"dataset": "folder", "root": "here", "crop": [32, 48]},
    "student": {"network": "fcn", "backbone": "resnet10t"},
    "training": {"steps": 6, "lr": 0.5},
}


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("training.class_weights=[1, 2]", "use training.task.class_weights"),
        ("training.head_lr=0.1", r"use training.lr_scale, such as \{head: 10\}"),
        ("student.freeze=backbone", "use training.freeze"),
        ("training.batch_size=2", "use data.batch_size"),
        ("training.task_loss=dice", "use training.task.loss"),
        ("student.num_classes=5", "the dataset determines"),
    ],
)
def test_a_key_of_another_trainer_is_answered_with_ours(word: str, answer: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown key '{word.partition('=')[0]}'; .*{answer}"):
        config.check(config.override(TREE, [word]))


def test_every_answer_names_keys_that_are_there() -> None:
    known = {f"training.{key}" for key in section_settings(config.TrainingConfig)}
    known |= {f"training.task.{key}" for key in section_settings(config.TaskConfig)}
    for answer in _ELSEWHERE.values():
        for named in re.findall(r"training(?:\.\w+)+", answer):
            assert named in known


def test_a_loss_of_training_is_an_unknown_key_and_takes_no_other_key_with_it() -> None:
    tree = config.override(TREE, ["training.loss=dice"])
    assert tree["training"] == {"steps": 6, "lr": 0.5, "loss": "dice"}
    with pytest.raises(ConfigError, match=r"unknown key 'training\.loss'"):
        config.check(tree)


@pytest.mark.parametrize("words", ["training.steps=3", {"training.steps": 3}])
def test_overrides_that_are_no_list_are_refused(words: object) -> None:
    with pytest.raises(ConfigError, match=r"expected a list such as \['training.lr=0.01'\]"):
        config.override(TREE, words)  # type: ignore[arg-type]


def test_a_mapping_in_place_of_a_file_is_told_how_to_become_one() -> None:
    with pytest.raises(ConfigError, match=r"got dict; write it to a file with yaml\.safe_dump"):
        load_config(TREE)  # type: ignore[arg-type]
