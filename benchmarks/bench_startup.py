"""How long a command takes to answer: its help, and wrong settings.

    python benchmarks/bench_startup.py

Each command is run seven times in a process of its own; medians of wall and CPU seconds (user and
system). On a busy machine CPU seconds are what to read. Targets: help below 0.3 s, any wrong
setting below 1 s, torch not imported.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Any

from results_file import write_result

ROUNDS = 7
COMMANDS = {
    "help": ["--help"],
    "unknown key": ["check", "reference", "training.lrr=1"],
    "value out of range": ["check", "reference", "distill.0.temperature=-1"],
    "unknown network of smp": ["check", "reference", "teacher={network: 'smp:unett'}"],
    "mean without std": ["check", "reference", "teacher={network: 'smp:unet', mean: [0, 0, 0]}"],
    "study, unknown method's loss": ["study", "studies/scenes", "methods.kl.0.loss=pixelwise_k"],
}
PROGRAM = """
import sys
from segdistill.cli import main
try:
    code = main()
except SystemExit as end:
    code = end.code
print("torch" in sys.modules, file=sys.stderr)
sys.exit(code)
"""


def run(words: list[str]) -> dict[str, Any]:
    """Run a command once."""
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - start, os.times()
    cpu = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    *_, last = done.stderr.splitlines()
    return {"wall": wall, "cpu": cpu, "torch": last == "True", "exit_code": done.returncode}


def main() -> None:
    rows = []
    for name, words in COMMANDS.items():
        rounds = [run(words) for _ in range(ROUNDS)]
        rows.append(
            {
                "what": name,
                "words": words,
                "wall_s": round(statistics.median(one["wall"] for one in rounds), 3),
                "least_wall_s": round(min(one["wall"] for one in rounds), 3),
                "cpu_s": round(statistics.median(one["cpu"] for one in rounds), 3),
                "torch_imported": any(one["torch"] for one in rounds),
                "exit_code": rounds[0]["exit_code"],
            }
        )
        print(rows[-1])
    print(write_result("startup", {"rounds": ROUNDS, "rows": rows}))


if __name__ == "__main__":
    main()
