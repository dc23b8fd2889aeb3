"""Configs: overrides, merging, cohorts, and one clear line for each mistake."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from segdistill import config
from segdistill.config import RunConfig
from segdistill.errors import ConfigError


def tree(**sections: Any) -> config.Tree:
    return {
        "data": {"dataset": "scenes", "crop": [64, 96], "batch_size": 4},
        "teacher": {"network": "deeplabv3", "backbone": "resnet18"},
        "student": {"network": "fcn", "backbone": "resnet18"},
        "distill": [{"loss": "pixelwise_kl", "temperature": 2.0}],
        "training": {"steps": 10},
    } | sections


def checked(*words: str, **sections: Any) -> RunConfig:
    return config.check(config.override(tree(**sections), words))


def test_a_resolved_config_reads_back_as_itself() -> None:
    first = checked()
    again = config.check(yaml.safe_load(yaml.safe_dump(first.tree())))
    assert again == first
    assert again.hash() == first.hash()


def test_a_loss_takes_the_papers_tap_weight_and_alignment_unless_given() -> None:
    (term,) = checked(distill=[{"loss": "layer_angular"}]).distill
    assert (term.tap, term.weight, term.project) == ("backbone", 10.0, "conv_bn_relu")
    (term,) = checked(distill=[{"loss": "layer_angular", "tap": "head", "weight": 3}]).distill
    assert (term.tap, term.weight, term.project) == ("head", 3.0, "conv_bn_relu")


def test_settings_are_those_of_the_row_alone() -> None:
    (term,) = checked().distill
    assert term.settings() == {"temperature": 2.0}
    assert checked().data.settings()["train_images"] == 300


def test_overrides_reach_sections_lists_and_numbers_like_5e_4() -> None:
    made = checked("training.lr=0.5", "distill.0.weight=4", "training.weight_decay=5e-4")
    assert (made.training.lr, made.distill[0].weight) == (0.5, 4.0)
    assert made.training.weight_decay == 5e-4


def test_another_network_or_loss_replaces_its_whole_section() -> None:
    made = config.override(tree(), ["student.network=pspnet", "distill.0.loss=layer_angular"])
    assert made["student"] == {"network": "pspnet"}
    assert made["distill"] == [{"loss": "layer_angular"}]


def test_another_dataset_keeps_what_all_datasets_share() -> None:
    before = tree(data={"dataset": "camvid", "root": "x", "crop": [8, 8], "batch_size": 2})
    made = config.override(before, ["data.dataset=scenes"])
    assert made["data"] == {"dataset": "scenes", "crop": [8, 8], "batch_size": 2}


def test_the_same_name_again_replaces_nothing() -> None:
    assert config.override(tree(), ["student.network=fcn"]) == tree()


def test_a_cohort_is_one_config_a_learner() -> None:
    learners = config.cohort(
        tree(cohort={"plain": {"distill": []}, "wide": {"training": {"lr": 1.0}}})
    )
    assert list(learners) == ["plain", "wide"]
    assert learners["plain"]["distill"] == []
    assert learners["wide"]["training"] == {"steps": 10, "lr": 1.0}
    assert config.cohort(tree()) == {"": tree()}


def test_the_hash_ignores_what_changes_no_result() -> None:
    assert checked("data.workers=2", "training.log_every=7").hash() == checked().hash()
    assert checked("training.lr=0.3").hash() != checked().hash()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainin.lr=1"], "unknown key 'trainin'; did you mean 'training'?"),
        (["training.lrr=1"], "unknown key 'training.lrr'; did you mean 'lr'?"),
        (["data.crops=[1,2]"], "unknown key 'data.crops'; did you mean 'crop'?"),
        (["distill.0.temprature=1"], "unknown key 'distill.0.temprature'; did you mean"),
        (["student.bakbone=x"], "unknown key 'student.bakbone'; did you mean 'backbone'?"),
        (
            ["student.network=fcnn"],
            "student.network: there is no network 'fcnn'; did you mean 'fcn'",
        ),
        (["data.dataset=scene"], "data.dataset: there is no dataset 'scene'; did you mean"),
        (["training.lr=abc"], "training.lr: expected a number above 0, got 'abc'"),
        (["training.lr=-1"], "training.lr: expected a number above 0, got -1"),
        (["training.lr=.nan"], "training.lr: expected a number above 0, got nan"),
        (["training.steps=0"], "training.steps: expected a whole number of at least 1, got 0"),
        (["data.crop=5"], "data.crop: expected two whole numbers of at least 1, got 5"),
        (["data.crop=[64]"], r"data.crop: expected two whole numbers of at least 1, got \[64\]"),
        (["data.crop=[64, 0]"], r"two whole numbers of at least 1, got \[64, 0\]"),
        (["data.crop=[64, 96, 3]"], "data.crop: expected two whole numbers of at least 1"),
        (["data.size=[8, 96]"], r"data.size: expected two whole numbers of at least 32, got \[8"),
        (["data.flip=3"], "data.flip: expected true or false, got 3"),
        (["data.workers=true"], "data.workers: expected a whole number of at least 0, got true"),
        (["training.lr=true"], "training.lr: expected a number above 0, got true"),
        (["data.workers=1.5"], "data.workers: expected a whole number of at least 0, got 1.5"),
        (["data.train_split=[1]"], r"data.train_split: expected a string, got \[1\]"),
        (["data.on_error=skp"], "expected raise or skip, got 'skp'; did you mean 'skip'?"),
        (["data.jitter=2"], "data.jitter: expected a number from 0 to 1, got 2"),
        (["data.max_class_share=0"], "expected a number above 0 and at most 1, got 0"),
        (["distill.0.temperature=-1"], "distill.0.temperature: expected a number above 0, got -1"),
        (["distill.0.weight=-1"], "distill.0.weight: expected a number of at least 0, got -1"),
        (["distill=3"], "distill: expected a list of .*, got 3"),
        (["student.width=-3"], "student.width: expected a whole number of at least 1 or null, got"),
        (["student.output_stride=12"], "student.output_stride: expected 4, 8, 16 or 32, got 12"),
        (["student.taps=3"], "student.taps: expected a mapping of names to values, got 3"),
        (["student.weights=3"], "student.weights: expected a path or null, got 3"),
        (
            ["student={network: 'smp:unet', mean: [0.5, 0.5]}"],
            "mean: expected three numbers from 0",
        ),
        (["student={network: 'smp:unet', args: 3}"], "args: expected a mapping of names to values"),
        (["student={network: 'smt:unet'}"], "there is no network 'smt:unet'; did you mean 'smp:'"),
        (["training.clip_norm=0"], "training.clip_norm: expected a number above 0 or null, got 0"),
        (["training=3"], "training: expected a section with steps, got 3"),
        (["training.lr=null"], "training.lr: expected a number above 0, got null"),
        (["training.precision=bf16"], "expected 32-true, bf16-mixed or 16-mixed, got 'bf16'"),
        (["evaluation.scales=[]"], r"evaluation.scales: expected one or more numbers above 0, got"),
        (["evaluation=3"], "evaluation: expected a section with keys such as split, got 3"),
        (["data.dataset=camvid"], "data.root: expected a path, got none; add it"),
        (["distill=[{weight: 1}]"], "distill.0.loss: expected the name of a loss, got none"),
        (["training={}"], "training.steps: expected a whole number of at least 1, got none"),
        (["data.scale=[2.0,0.5]"], r"data.scale: expected \[low, high\]"),
        (["training.accumulate=3"], "expected batch_size 4 to be divisible into 3 parts"),
        (["teacher=null"], "distill: expected a section 'teacher' too"),
        (["distill.3.weight=1"], "expected an index from 0 to 0, got '3'"),
        (["training.lr"], "override 'training.lr': expected key=value"),
        (["training.lr.x=1", "training.lr.x.y=1"], "expected a section before '.y'"),
        (["data.unlabelled={dataset: images, root: x, per_batch: 4}"], "expected fewer than batch"),
        (["data.unlabelled={dataset: image}"], "data.unlabelled.dataset: there is no dataset"),
        (["student=5"], "student: expected a section with keys such as network, got 5"),
    ],
)
def test_a_mistake_is_answered_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        checked(*words)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a config file, got No such file"):
        config.read_tree(tmp_path / "none.yaml")
    file = tmp_path / "a.yaml"
    file.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a mapping of sections, got list"):
        config.read_tree(file)
    file.write_text("a: [1\n")
    with pytest.raises(ConfigError, match="expected YAML"):
        config.read_tree(file)


def test_home_and_variables_are_filled_in_for_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/data")
    below = {"dataset": "images", "root": "$DATA/more", "per_batch": 1}
    data = {"dataset": "folder", "root": "~/own", "crop": [8, 8], "unlabelled": below}
    made = checked("student.weights=${DATA}/s.safetensors", data=data)
    assert made.data.settings()["root"] == Path("/home/me/own")
    assert made.data.unlabelled is not None
    assert made.data.unlabelled.settings()["root"] == Path("/data/more")
    assert made.student.weights == Path("/data/s.safetensors")
    with pytest.raises(ConfigError, match=r"data\.root: .*in which \$NOT_SET is not set"):
        checked(data={"dataset": "folder", "root": "$NOT_SET/own", "crop": [8, 8]})


def test_settings_of_labels_and_pixels_are_part_of_the_hash_once_they_are_set() -> None:
    data = {"dataset": "folder", "root": "x", "crop": [8, 8]}
    plain = checked(data=data)
    assert "ignore" in plain.tree()["data"]
    written = {"ignore": [], "labels": None, "reduce_labels": False, "binary": False}
    written |= {"range": None, "bands": None, "mask_suffix": "", "image_suffix": ""}
    assert checked(data=data | written).hash() == plain.hash()
    others = [
        {"ignore": [0, 11, 254]}, {"labels": {255: "road"}}, {"reduce_labels": True},
        {"binary": True}, {"range": [0, 4095]}, {"bands": [3, 0, 1]}, {"mask_suffix": "_mask"},
    ]  # fmt: skip
    hashes = {checked(data=data | other).hash() for other in others}
    assert len(hashes | {plain.hash()}) == len(others) + 1


def test_an_unlabelled_dataset_takes_a_range_but_no_labels() -> None:
    below = {"dataset": "folder", "root": "x", "per_batch": 1, "range": [0, 4095]}
    made = checked(data={"dataset": "scenes", "crop": [8, 8], "unlabelled": below})
    assert made.data.unlabelled is not None
    assert made.data.unlabelled.settings()["range"] == (0, 4095)
    with pytest.raises(ConfigError, match=r"unknown key 'data\.unlabelled\.ignore'"):
        checked(data={"dataset": "scenes", "crop": [8, 8], "unlabelled": below | {"ignore": [1]}})
