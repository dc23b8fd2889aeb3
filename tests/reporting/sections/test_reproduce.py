"""How to reproduce: configs by what differs, commands and environments once."""

from dataclasses import replace
from pathlib import Path

from segdistill.reporting.groups import group
from segdistill.reporting.runs import read_runs
from segdistill.reporting.sections.reproduce import changed, commands, configs, environments
from segdistill.runs.environment import read_environment, write_environment

from ..folders import make_cohort, make_run


def test_later_seeds_are_told_by_the_lines_that_differ(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"{seed}", name="a", seed=seed) for seed in range(2)]
    (own,) = group(read_runs(runs))
    found = configs(own)
    assert "output_stride: 16" in found.text
    assert [line.hash for line in found.runs] == ["000001234567", "010001234567"]
    assert [list(line.changed) for line in found.runs] == [[], ["training.seed: 1"]]


def test_settings_that_differ_have_their_paths() -> None:
    before = {"data": {"seed": 0, "crop": [64, 64]}, "training": {"seed": 0, "ema": 0.99}}
    after = {"data": {"seed": 1, "crop": [64, 64]}, "training": {"seed": 1}}
    assert changed(before, after) == ["data.seed: 1", "training.seed: 1", "training.ema: null"]
    assert changed(before, before) == []


def test_commands_are_there_once_and_the_runs_can_be_scored_again(tmp_path: Path) -> None:
    lines = commands(read_runs(make_cohort(tmp_path / "my runs")))
    assert lines[0] == "segdistill distill camvid-students training.seed=0"
    assert len(lines) == 5
    assert lines[-1].startswith("segdistill evaluate '")


def test_an_environment_that_all_runs_share_is_said_once(tmp_path: Path) -> None:
    runs = read_runs(make_cohort(tmp_path))
    ((label, found),) = environments(runs)
    assert label == "all runs"
    assert found == {"python": "3.11.7", "torch": "2.12.1"}


def test_other_environments_are_told_apart(tmp_path: Path) -> None:
    folders = make_cohort(tmp_path)
    changed_one = replace(read_environment(folders[1]), packages={"torch": "2.11.0"})
    write_environment(folders[1], changed_one)
    found = environments(read_runs(folders))
    assert [label for label, _ in found] == ["teacher, plain, angular", "kl"]
    assert found[1][1]["torch"] == "2.11.0"
