"""evaluate: the score of a run again, on other data and views."""

import json
from pathlib import Path

import pytest

from segdistill.runs.result import read_result
from segdistill.runs.student import best_file

from .conftest import Cli, Trained


def test_gives_the_score_that_the_run_ended_with(trained: Trained, cli: Cli) -> None:
    done = cli("evaluate", trained.run, "--json")
    result = json.loads(done.out)
    ended = read_result(trained.run)
    assert done.code == 0
    assert result["miou"] == ended.miou
    assert result["iou"] == ended.iou
    assert (result["split"], result["scales"], result["flip"]) == ("val", [1.0], False)
    assert "scoring: 3/3" in done.err


def test_a_weight_file_of_the_run_stands_for_it(trained: Trained, cli: Cli) -> None:
    best = best_file(trained.run)
    result = json.loads(cli("evaluate", best, "--json").out)
    assert result["weights"] == str(best)
    kept = read_result(trained.run).best
    assert kept is not None
    assert result["miou"] == kept.miou


def test_split_scales_flip_and_settings_change_what_is_scored(trained: Trained, cli: Cli) -> None:
    words = ["--split", "train", "--scales", "0.5,1.0", "--flip", "data.train_images=2", "--json"]
    result = json.loads(cli("evaluate", trained.run, *words).out)
    assert (result["images"], result["split"]) == (2, "train")
    assert (result["scales"], result["flip"]) == ([0.5, 1.0], True)
    plain = json.loads(cli("evaluate", trained.run, "--split", "train", "--json").out)
    assert plain["images"] == 6
    assert plain["miou"] != result["miou"]


def test_the_table_names_the_run_and_says_what_next(trained: Trained, cli: Cli) -> None:
    lines = cli("evaluate", trained.run).out.splitlines()
    assert lines[0].split() == ["kl"]
    assert lines[-2].startswith("3 images of val in ")
    assert lines[-1].startswith(f"next: segdistill predict {trained.run}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scales", "1,x"], "--scales: expected numbers such as 0.5,1.0,1.5, got '1,x'"),
        (["student.width=8"], "got one of the student, which is already trained"),
        (["data.sice=3"], "unknown key 'data.sice'; did you mean 'size'?"),
    ],
)
def test_refuses_what_it_cannot_change(
    words: list[str], message: str, trained: Trained, cli: Cli
) -> None:
    done = cli("evaluate", trained.run, *words)
    assert done.code == 2
    assert message in done.err


def test_a_split_that_is_not_there_is_refused(trained: Trained, cli: Cli) -> None:
    done = cli("evaluate", trained.run, "--split", "tets")
    assert done.code == 1
    assert "expected split train or val, got 'tets'" in done.err


def test_a_folder_that_is_no_run_is_refused_with_the_one_that_was_meant(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    done = cli("evaluate", trained.folder)
    assert done.code == 2
    assert f"did you mean {trained.folder / 'kl'}?" in done.err
    assert "expected the folder of a finished run, got none" in cli("evaluate", tmp_path).err
