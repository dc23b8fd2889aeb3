"""What a finished study found, with commit and machine.

segdistill demo --out demo && segdistill study studies/scenes --out study
python benchmarks/bench_study.py study scenes
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from results_file import write_result

from segdistill.files import read_json


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    text = (folder / "trials.jsonl").read_text(encoding="utf-8")
    values = {
        "plan": read_json(folder / "plan.json")["estimate"],
        "measured": read_json(folder / "measured.json"),
        "trials": [json.loads(line) for line in text.splitlines()],
        "results": read_json(folder / "results.json"),
    }
    print(write_result(f"study_{name}", values))


if __name__ == "__main__":
    main()
