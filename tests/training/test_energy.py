"""Energy: the difference of a counter, and nothing where there is no counter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from segdistill.config import RunConfig
from segdistill.runs.result import read_result
from segdistill.scoring.evaluator import evaluate
from segdistill.training import hooks, score
from segdistill.training.energy import EnergyMeter
from segdistill.training.run import run_cohort

CPU = torch.device("cpu")


def counter(rapl: Path, name: str, microjoules: int) -> None:
    (rapl / name).mkdir(parents=True, exist_ok=True)
    (rapl / name / "energy_uj").write_text(f"{microjoules}\n")


def test_adds_the_packages_and_not_their_parts(tmp_path: Path) -> None:
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        counter(tmp_path, name, 1_000_000)
    meter = EnergyMeter(CPU, rapl=tmp_path)
    assert meter.source == "rapl"
    counter(tmp_path, "intel-rapl:0", 3_000_000)
    counter(tmp_path, "intel-rapl:1", 1_500_000)
    counter(tmp_path, "intel-rapl:0:0", 9_000_000)
    assert meter.joules() == pytest.approx(2.5)
    assert meter.joules() == 0.0


def test_a_counter_that_went_round_counts_as_nothing(tmp_path: Path) -> None:
    counter(tmp_path, "intel-rapl:0", 5_000_000)
    meter = EnergyMeter(CPU, rapl=tmp_path)
    counter(tmp_path, "intel-rapl:0", 1_000_000)
    assert meter.joules() == 0.0
    counter(tmp_path, "intel-rapl:0", 2_000_000)
    assert meter.joules() == pytest.approx(1.0)


def test_says_nothing_without_a_counter(tmp_path: Path) -> None:
    meter = EnergyMeter(CPU, rapl=tmp_path)
    assert meter.source is None
    assert meter.joules() is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_uses_energy() -> None:
    meter = EnergyMeter(torch.device("cuda"))
    values = torch.randn(4096, 4096, device="cuda")
    for _ in range(200):
        values = torch.tanh(values @ values)
    torch.cuda.synchronize()
    assert meter.source == "nvml"
    assert (meter.joules() or 0.0) > 0


def test_a_run_pays_for_its_steps_and_not_for_scores_and_checkpoints(
    small: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = [0.0]

    class Meter:
        """A joule a reading, and what was used elsewhere since the one before."""

        source = "rapl"

        def __init__(self, device: torch.device) -> None:
            pass

        def joules(self) -> float:
            used, elsewhere[0] = 1.0 + elsewhere[0], 0.0
            return used

    def costly(*given: Any, **named: Any) -> Any:
        elsewhere[0] += 1000.0
        return evaluate(*given, **named)

    monkeypatch.setattr(hooks, "EnergyMeter", Meter)
    monkeypatch.setattr(score, "evaluate", costly)
    config = small("training.steps=3", "training.evaluate_every=1")
    run_cohort({"": config}, tmp_path / "run")
    used = (read_result(tmp_path / "run").energy_kwh or 0.0) * 3.6e6
    assert 0 < used <= 3.001
