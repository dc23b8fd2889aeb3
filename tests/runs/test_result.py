"""How a run ended: each end comes back, and costs are found where any release wrote them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from segdistill.errors import RunFolderError
from segdistill.runs.layout import COST, FORMAT, RESULT
from segdistill.runs.result import (
    Failure,
    Pruned,
    find_end,
    find_results,
    has_result,
    read_failure,
    read_pruned,
    read_result,
    write_cost,
    write_failure,
    write_pruned,
    write_result,
)

from .records import cost, result


def test_a_result_comes_back_and_its_cost_is_a_file_of_its_own(tmp_path: Path) -> None:
    write_result(tmp_path, result())
    before = (tmp_path / RESULT).read_bytes()
    assert read_result(tmp_path) == result()
    write_cost(tmp_path, cost())
    assert read_result(tmp_path) == result(cost=cost())
    assert (tmp_path / RESULT).read_bytes() == before
    assert json.loads((tmp_path / COST).read_text())["format"] == FORMAT


def test_the_flat_form_is_what_json_can_hold(tmp_path: Path) -> None:
    values = json.loads(json.dumps(result(cost=cost()).as_dict()))
    assert values["miou"] == 0.25
    assert values["params_m"] == 0.25
    assert values["cost_size"] == [24, 32]
    assert values["best"] == {"step": 4, "miou": 0.26}
    assert "cost" not in values


def test_a_folder_from_before_formats_is_read_with_the_cost_in_its_result(tmp_path: Path) -> None:
    old = result().as_dict() | asdict(cost())
    (tmp_path / RESULT).write_text(json.dumps(old))
    assert read_result(tmp_path) == result(cost=cost())


def test_a_run_without_a_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RunFolderError, match=r"expected a finished run with result\.json, got none"
    ):
        read_result(tmp_path)


def test_each_end_is_told_apart_and_comes_back(tmp_path: Path) -> None:
    for name in ("open", "done", "failed", "pruned"):
        (tmp_path / name).mkdir()
    failure = Failure(error="expected a finite loss", step=7, config_hash="h", seconds=1.5)
    pruned = Pruned(step=2, miou=0.125, config_hash="h", energy_kwh=0.5)
    write_result(tmp_path / "done", result())
    write_failure(tmp_path / "failed", failure)
    write_pruned(tmp_path / "pruned", pruned)
    ends = {run.name: find_end(run) for run in tmp_path.iterdir()}
    assert ends == {"open": None, "done": "done", "failed": "failed", "pruned": "pruned"}
    assert read_failure(tmp_path / "failed") == failure
    assert read_pruned(tmp_path / "pruned") == pruned
    assert [run for run in tmp_path.iterdir() if has_result(run)] == [tmp_path / "done"]
    assert find_results(tmp_path) == [tmp_path / "done"]


def test_a_failure_of_an_older_release_has_no_step(tmp_path: Path) -> None:
    (tmp_path / "failed.json").write_text('{"error": "nan", "config_hash": "h"}')
    assert read_failure(tmp_path) == replace(Failure(error="nan"), config_hash="h")
