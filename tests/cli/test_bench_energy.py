"""bench energy: kWh and CO2 of training and of 10 000 images, or an empty cell."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from segdistill.api import energy as module
from segdistill.runs.result import read_result

from .conftest import Cli, Trained


class Metered:
    """A counter that every reading moves on by 36 J."""

    source = "rapl"

    def __init__(self, device: object) -> None:
        pass

    def joules(self) -> float:
        return 36.0


def test_the_energy_of_10_000_images_and_its_co2(
    trained: Trained, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EnergyMeter", Metered)
    result = read_result(trained.run)
    known = replace(result, energy_kwh=0.841)
    monkeypatch.setattr(module, "read_result", lambda run: known)
    words = ["bench", "energy", trained.run, "--size", "32x48", "--seconds", "0"]
    found = json.loads(cli(*words, "--json").out)["runs"][str(trained.run)]
    # One image of 36 J: 10 000 are 360 kJ, which is 0.1 kWh.
    assert (found["images"], found["source"]) == (1, "rapl")
    assert found["inference_kwh"] == pytest.approx(0.1)
    out = cli(*words, "--co2", "0.354").out
    row = next(line for line in out.splitlines() if line.startswith(str(trained.run)))
    # Niemann et al., Table 8: 0.841 kWh are 0.298 kg.
    assert row.split()[1:] == [f"{100 * result.miou:.2f}", "0.841", "0.298", "0.1", "0.0354"]
    assert "CO2 at 0.354 kg per kWh" in out


def test_without_a_counter_the_cells_are_empty_and_it_says_so(
    trained: Trained, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = SimpleNamespace(source=None, joules=lambda: None)
    monkeypatch.setattr(module, "EnergyMeter", lambda device: none)
    out = cli("bench", "energy", trained.run, "--size", "32x48").out
    row = next(line for line in out.splitlines() if line.startswith(str(trained.run)))
    assert row.split()[-2:] == ["-", "-"]
    assert "no energy counter can be read here" in out


def test_a_folder_without_a_run_is_refused(cli: Cli) -> None:
    done = cli("bench", "energy", "nowhere")
    assert (done.code, done.out) == (2, "")
    assert "expected the folder of a finished run, got none" in done.err
