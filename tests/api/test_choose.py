"""choose: files of runs, measured, scored and decided upon."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segdistill.api import choose as module
from segdistill.api.choose import choose
from segdistill.api.export import export
from segdistill.catalogue.formats import FORMATS, Format
from segdistill.delivery import onnx
from segdistill.delivery.contract import Contract
from segdistill.delivery.opened import Run
from segdistill.delivery.program import Program
from segdistill.errors import ConfigError, DataError, SegdistillError


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a format of texts that stand for networks, which are held in memory."""
    networks: dict[str, nn.Module] = {}

    def write(network: nn.Module, file: Path, size: tuple[int, int], contract: Contract) -> None:
        file.write_text(contract.as_text())
        networks[contract.provenance["run"]] = Program(network).eval()

    def open_text(file: Path, threads: int) -> tuple[Run, str]:
        program = networks[json.loads(file.read_text())["provenance"]["run"]]

        def run(images: np.ndarray) -> np.ndarray:
            output: np.ndarray = program(torch.from_numpy(images)).detach().numpy()
            return output

        return run, file.read_text()

    monkeypatch.setitem(
        FORMATS, "held", Format("onnx:write_held", "", opener="onnx:open_held", suffix=".held")
    )
    monkeypatch.setattr(onnx, "write_held", write, raising=False)
    monkeypatch.setattr(onnx, "open_held", open_text, raising=False)


@pytest.fixture
def pair(run: Path, tmp_path: Path) -> Path:
    """Return a folder of two runs with the same weights."""
    for name in ("a", "b"):
        shutil.copytree(run, tmp_path / "runs" / name)
    return tmp_path / "runs"


def test_the_runs_of_a_folder_are_measured_and_decided_upon(pair: Path) -> None:
    choice = choose(pair, formats=["held"], limit_ms=60_000, passes=5, scored=2)
    assert {one.name for one in choice.candidates} == {f"{pair}/a held", f"{pair}/b held"}
    assert all(one.fits and one.file is None for one in choice.candidates)
    assert (choice.images, choice.left_out) == (2, {})
    (difference,) = choice.verdict.behind.values()
    assert (difference.low, difference.high) == (0, 0)
    assert len(choice.verdict.equals) == 1
    assert choice.command == f"segdistill export {choice.chosen.run} --format held"


def test_a_runs_file_is_taken_where_it_is_of_these_weights(pair: Path) -> None:
    made = export(pair / "a", format="held", scored=1).file
    choice = choose(pair / "a", passes=5, scored=1)
    assert (choice.chosen.file, choice.chosen.format) == (made, "held")
    assert choice.command == f"segdistill predict {made} PHOTOS"
    shutil.copy(made, pair / "b" / made.name)
    result = pair / "b" / "result.json"
    result.write_text(result.read_text().replace('"config_hash": "', '"config_hash": "0'))
    assert choose(pair / "b", passes=5, scored=1).chosen.file is None


def test_without_data_the_runs_own_scores_count(
    pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(pair / "a", format="held", scored=1)
    monkeypatch.setattr(module, "open_validation", lambda *_: None)
    assert choose(pair / "a", passes=5).images == 3
    monkeypatch.setitem(FORMATS, "held", replace(FORMATS["held"], loss_points=0.4))
    with pytest.raises(DataError, match=r"got none:\n  .*expected images to score it on"):
        choose(pair / "a", passes=5)


def test_a_limit_that_none_keeps_is_said_with_the_fastest(pair: Path) -> None:
    with pytest.raises(SegdistillError, match=r"keeps 0\.001 ms .* got .* of .*a held; allow more"):
        choose(pair / "a", formats=["held"], limit_ms=0.001, passes=5, scored=1)


def test_files_of_other_classes_or_formats_are_refused(pair: Path, tmp_path: Path) -> None:
    made = export(pair / "a", tmp_path / "c.held", format="held", scored=1).file
    with pytest.raises(ConfigError, match=r"expected a file of onnx, got .*c\.held of held"):
        choose(made, formats=["onnx"])
    with pytest.raises(DataError, match="expected images to score it on"):
        choose(made, passes=5)
    made.write_text(made.read_text().replace('"road"', '"street"'))
    with pytest.raises(ConfigError, match=r"of the 11 classes of the data, got .*c\.held of 11"):
        choose([pair / "a", made], formats=["held"], passes=5, scored=1)
