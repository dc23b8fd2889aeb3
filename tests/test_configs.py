"""Every packaged recipe is a config that can be run."""

import re
from pathlib import Path

import pytest
import yaml
from torch import nn

from segdistill.catalogue.recipes import kind_of, recipe_files
from segdistill.config.loading import load_configs, load_search, load_study, read
from segdistill.errors import ConfigError
from segdistill.models import save_network
from segdistill.studies.search import check_runs
from segdistill.studies.students.configs import check_students

RUNS = [name for name in recipe_files() if kind_of(name) == "run"]
STUDIES = [name for name in recipe_files() if kind_of(name) == "study"]
SEARCHES = [name for name in recipe_files() if kind_of(name) == "search"]


@pytest.mark.parametrize("name", RUNS)
def test_every_recipe_is_a_valid_config(name: str) -> None:
    assert all(config.training.steps > 0 for config in load_configs(name).values())


@pytest.mark.parametrize("name", STUDIES)
def test_every_packaged_study_is_valid(name: str) -> None:
    check_runs(load_study(name))


@pytest.mark.parametrize("name", SEARCHES)
def test_every_packaged_search_is_valid(name: str) -> None:
    check_students(load_search(name))


def test_a_run_file_and_a_study_file_are_told_apart() -> None:
    with pytest.raises(ConfigError, match="got a study; use segdistill study"):
        load_configs(STUDIES[0])
    with pytest.raises(ConfigError, match="expected a study file with methods"):
        load_study(RUNS[0])


@pytest.mark.parametrize("name", recipe_files())
def test_every_recipe_says_what_it_is_and_how_to_run_it(name: str) -> None:
    first, second = recipe_files()[name].read_text().splitlines()[:2]
    assert first.startswith("# ")
    assert first.endswith(".")
    assert re.match("# segdistill (train|distill|study|search|demo) ", second)
    assert name in second


def test_a_teacher_given_by_its_weights_alone_is_the_network_saved_with_them(
    tmp_path: Path,
) -> None:
    file = tmp_path / "model.safetensors"
    saved = {"network": "fcn", "backbone": "resnet10t", "width": 16, "weights": None}
    described = {"network": saved, "classes": ["road"], "colors": [[128, 64, 128]]}
    save_network(file, nn.Conv2d(1, 1, 1), described)
    tree = {key: part for key, part in read("scenes/students").items() if key != "cohort"}
    source = tmp_path / "run.yaml"
    source.write_text(yaml.safe_dump({**tree, "teacher": {"weights": str(file)}}))
    teacher = load_configs(source)[""].teacher
    assert teacher is not None
    assert (teacher.network, teacher.weights) == ("fcn", file)
    assert teacher.settings()["backbone"] == "resnet10t"
    with pytest.raises(ConfigError, match=r"teacher\.weights: none: expected a run's weights"):
        load_configs(source, ["teacher={weights: none}"])


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'camvid/teacher'"):
        read("camvid/techer")
