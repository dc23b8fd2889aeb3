"""The prepared GPU round: rehearsed on a CPU, every stage ends and leaves its results."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = ("tests", "parity", "losses", "steps", "compile", "camvid")


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="a bash script")
def test_every_stage_of_the_gpu_round_runs_on_a_cpu_with_tiny_sizes(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "device" / "run.sh"
    subprocess.run(
        ["bash", str(script), "--rehearse", str(tmp_path / "round")],
        env=os.environ | {"PYTHON": sys.executable},
        check=True,
        capture_output=True,
    )
    lines = (tmp_path / "round" / "stages.jsonl").read_text().splitlines()
    stages = {stage["stage"]: stage["exit"] for stage in map(json.loads, lines)}
    assert stages == dict.fromkeys(STAGES, 0)
    for name in stages.keys() - {"tests"}:
        found = json.loads((tmp_path / "round" / f"{name}.json").read_text())
        assert found["rehearsed"]
        assert found["results"]


def test_the_stages_of_the_gpu_round_take_at_most_nine_minutes() -> None:
    text = (ROOT / "benchmarks" / "device" / "run.sh").read_text()
    calls = [line for line in text.splitlines() if line.startswith(("stage ", "measure "))]
    limits = [int(line.split()[2]) for line in calls]
    assert len(limits) == len(STAGES)
    assert sum(limits) <= 9 * 60
