"""What every result file of the benchmarks starts with: commit, machine, time."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from segdistill.files import write_json
from segdistill.training.devices import describe_machine

FOLDER = Path(__file__).parent / "results"


def write_result(name: str, values: dict[str, Any]) -> Path:
    """Write ``results/<name>.json`` with the commit and the machine beside the values."""
    found = describe_machine().as_dict()
    del found["command"], found["config_hash"]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, cwd=FOLDER
    )
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{name}.json"
    write_json(file, {"commit": commit.stdout.strip(), "environment": found} | values)
    return file
