"""An ensemble of teachers in a config: checked member by member, known by its contents."""

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from segdistill import config
from segdistill.config.ensembles import networks_of
from segdistill.config.identity import differing, identity_of
from segdistill.config.loading import check_tree
from segdistill.errors import ConfigError
from segdistill.models import save_network
from segdistill.training.contents import contents_of

NETWORK: config.Tree = {"network": "fcn", "backbone": "resnet10t", "width": 8}
TREE: config.Tree = {
    "data": {"dataset": "scenes", "crop": [32, 48]},
    "teacher": {
        "network": "ensemble",
        "members": [{**NETWORK, "weights": "a.safetensors"}, {**NETWORK, "untrained": True}],
    },
    "student": NETWORK,
    "distill": [{"loss": "pixelwise_kl"}],
    "training": {"steps": 2, "lr": 0.1},
}


def changed(*words: str) -> config.Tree:
    return config.override(copy.deepcopy(TREE), list(words))


def test_members_are_sections_of_their_own() -> None:
    teacher = config.check(TREE).teacher
    assert teacher is not None
    members = networks_of(teacher, "teacher")
    assert list(members) == ["teacher.members.0", "teacher.members.1"]
    assert members["teacher.members.0"].weights == Path("a.safetensors")
    assert members["teacher.members.1"].settings()["dropout"] == 0.1
    assert networks_of(config.check(TREE).student, "student") == {
        "student": config.check(TREE).student
    }


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("teacher.members.1.dropout=2", r"teacher.members.1.dropout: expected a number"),
        ("teacher.members.0.widht=8", "unknown key 'teacher.members.0.widht'"),
        ("teacher.members=[{network: espnet}]", "teacher.members: expected two .* got 1"),
        ("teacher=[{network: espnet}, {network: espnet}]", "teacher: .*ensemble with members"),
        ("teacher.members=3", "teacher.members: expected a list of sections, got 3"),
        ("teacher.members.1={weights: b.safetensors, network: ensemble, members: []}", "members.1"),
        ("teacher.members.1.shard=true", r"teacher.members.1.shard: expected it of the whole"),
        ("teacher.weights=b.safetensors", "teacher.weights: expected it of each member"),
        ("teacher.class_map=[0, 1]", "teacher.class_map: expected it of each member"),
        ("student={network: ensemble, members: [{network: espnet}, {network: espnet}]}", "student"),
    ],
)
def test_refuses_what_is_no_ensemble(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.check(changed(word))


def test_contents_of_the_members_count_and_their_places_do_not(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"first")
    here = config.check(changed(f"teacher.members.0.weights={tmp_path}/a.pth"))
    expected = {"teacher.members.0.weights": hashlib.sha256(b"first").hexdigest()}
    assert contents_of(here) == expected
    elsewhere = config.check(TREE)
    assert identity_of(here) == identity_of(elsewhere)
    other = config.check(changed("teacher.members.1.width=16"))
    assert differing(identity_of(here), identity_of(other)) == {"teacher.members.1.width": (8, 16)}


def test_a_member_that_a_run_wrote_is_given_by_its_weights_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    settings: dict[str, Any] = {**NETWORK, "width": 4}
    described = {"network": settings, "classes": ["a", "b"], "colors": [[0, 0, 0]] * 2}
    save_network(file, nn.Conv2d(3, 2, 1), described)
    tree = changed("teacher.members.0=null")
    tree["teacher"]["members"][0] = {"weights": str(file)}
    teacher = check_tree(tree).teacher
    assert teacher is not None
    assert networks_of(teacher)["members.0"].settings()["width"] == 4


def test_a_file_may_not_bring_an_ensemble(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    evil = {"network": "ensemble", "members": [{"network": "import:evil:build"}] * 2}
    described = {"network": evil, "classes": ["a", "b"], "colors": [[0, 0, 0]] * 2}
    save_network(file, nn.Conv2d(3, 2, 1), described)
    tree = {**TREE, "teacher": {"weights": str(file)}}
    with pytest.raises(ConfigError, match="expected one network in the metadata, got an ensemble"):
        check_tree(tree)
