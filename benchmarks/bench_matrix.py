"""The tests on each Python and on the lowest versions of ``pyproject.toml``, each in a new venv.

python benchmarks/bench_matrix.py [LEG ...] [--tests PATH ...]

It needs ``uv`` beside it (``pip install uv``) and the interpreters on the path. A leg that is run
again replaces its own entry of the result, the others stay.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NamedTuple

from results_file import FOLDER, write_result

ROOT = Path(__file__).parents[1]
PINNED = ("--constraint", str(ROOT / "constraints.txt"))


class Leg(NamedTuple):
    """A venv: its Python, and how the versions of packages are chosen."""

    python: str
    choose: tuple[str, ...]


LEGS = {
    "3.11": Leg("3.11", PINNED),
    "3.12": Leg("3.12", PINNED),
    "3.13": Leg("3.13", PINNED),
    "lowest": Leg("3.11", ("--resolution", "lowest-direct")),
}


def direct_packages() -> list[str]:
    """Return the packages that ``pyproject.toml`` names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += [word for word in extra if not word.startswith("segdistill")]
    return list(dict.fromkeys(word.partition(">=")[0] for word in wanted))


def run_leg(leg: Leg, tests: list[str]) -> dict[str, Any]:
    """Install a leg, run tests in it, and return what they did."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise SystemExit("bench_matrix: expected uv, got none; pip install uv")
    with tempfile.TemporaryDirectory() as place:
        python = Path(place) / "venv" / "bin" / "python"
        subprocess.run([uv, "venv", "-q", "--python", leg.python, f"{place}/venv"], check=True)
        install = [uv, "pip", "install", "-q", "--python", str(python), *leg.choose]
        subprocess.run([*install, "--editable", f"{ROOT}[dev]"], check=True)
        report = Path(place) / "report.xml"
        began = time.perf_counter()
        words = ["-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile", f"--junitxml={report}"]
        subprocess.run([python, "-m", "pytest", *words, *tests], check=False, cwd=ROOT)
        seconds = round(time.perf_counter() - began)
        asked = (
            "import json, platform; from importlib.metadata import distributions; "
            "print(json.dumps([platform.python_version(), "
            "{one.name.lower(): one.version for one in distributions()}]))"
        )
        said = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True)
        exact, installed = json.loads(said.stdout)
        # Not all are: the developers' extra leaves out what needs an account.
        names = [name for name in direct_packages() if name.lower() in installed]
        versions = {name: installed[name.lower()] for name in names}
        return {"python": exact, "versions": versions, **outcome(report), "seconds": seconds}


def outcome(report: Path) -> dict[str, Any]:
    """Return how many tests passed, and the names of those that did not."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = [
        f"{case.get('classname')}.{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - len(failed) - skipped
    return {"passed": passed, "skipped": skipped, "failed": failed}


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("legs", nargs="*", default=list(LEGS))
    words.add_argument("--tests", nargs="+", default=["tests"])
    asked = words.parse_args()
    for name in asked.legs:
        found = run_leg(LEGS[name], asked.tests) | {"tests": asked.tests}
        print(name, found["passed"], "passed", found["failed"], flush=True)
        file = FOLDER / "matrix.json"
        before = json.loads(file.read_text(encoding="utf-8"))["legs"] if file.exists() else {}
        write_result("matrix", {"legs": before | {name: found}})


if __name__ == "__main__":
    main()
