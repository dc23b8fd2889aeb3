"""What commands do with wrong inputs: files, configs and words, a seed each.

``python benchmarks/bench_fuzz.py --cases 2000`` runs each case in a copy of a small world (a run, a
study, packs, exports of annotation tools), in worker processes that are killed where a case takes
longer than it may. ``--only "run 13"`` runs one case again and prints what it said.
``--logs FOLDER`` keeps what came of each case, and goes on with what the folder's logs leave out;
``--again`` also runs those that did not behave once more: the last outcome of a case counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnxruntime  # noqa: F401 - what takes seconds to import is imported before anything forks
import onnxscript.optimizer  # noqa: F401
import torch
import torch.onnx._internal.exporter._core
from results_file import write_result
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from fuzz import judge, world
from fuzz.running import run_case
from fuzz.targets import TARGETS
from segdistill.cli import build_app

MOST_MEMORY = 16 * 2**30
PATIENCE_SECONDS = 1.5 * judge.MOST_CLOCK_SECONDS


def main() -> None:
    """Run the cases and write ``results/fuzz.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of each target's first case")
    parser.add_argument("--targets", nargs="+", choices=[*TARGETS], default=[*TARGETS])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=120.0, help="no case begins after these")
    parser.add_argument("--name", default="fuzz", help="of the file in results/")
    parser.add_argument(
        "--logs", type=Path, help="folder of what came of each case; else forgotten"
    )
    parser.add_argument("--again", action="store_true", help="also what did not behave before")
    parser.add_argument("--only", help="one case, as in 'run 13'")
    parser.add_argument("--world", type=Path, help="one that an earlier call made; else new")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        base = Path(place) / "base"
        if options.world:
            shutil.copytree(options.world, base)
        else:
            base.mkdir()
            world.build(base, lambda words: CliRunner().invoke(build_app(), words).exit_code)
        if options.only:
            target, _, number = options.only.rpartition(" ")
            case, outcome = run_case(target, int(number), base, Path(place) / "only")
            print(json.dumps({**asdict(case), **asdict(outcome)}, indent=2, default=str))
            print(judge.faults(outcome) or "behaved")
            return
        logs = options.logs or Path(place) / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        known = {
            key for key, entry in outcomes(logs).items() if not (options.again and entry["faults"])
        }
        cases = [*planned(options.cases, options.first, options.targets)]
        left = [case for case in cases if case not in known]
        run_all(left, base, logs, options.workers, options.minutes)
        found = outcomes(logs)
    write([found[case] for case in cases if case in found], options.name)


def planned(count: int, first: int, targets: list[str]) -> Iterator[tuple[str, int]]:
    """Yield cases, the targets by their shares and mixed, so that any beginning is a sample."""
    shares = {target: TARGETS[target].share for target in targets}
    total = sum(shares.values())
    for number in range(count):
        for target, share in shares.items():
            if number * share % total < share:
                yield target, first + number * share // total


def run_all(
    cases: list[tuple[str, int]], base: Path, folder: Path, workers: int, minutes: float
) -> None:
    """Run cases in worker processes, and log what came of each in a folder."""
    until = time.monotonic() + 60 * minutes
    left = [cases[start::workers] for start in range(workers)]
    began = time.time_ns()
    logs = [folder / f"{began}-{worker}.jsonl" for worker in range(workers)]
    pids = [begin(own, base, log, until) for own, log in zip(left, logs, strict=True)]
    while any(pids):
        time.sleep(1)
        for worker, pid in enumerate(pids):
            if not pid:
                continue
            ended, _ = os.waitpid(pid, os.WNOHANG)
            entries = read(logs[worker])
            stuck = time.time() - entries[-1]["began"] > PATIENCE_SECONDS if entries else False
            if not ended and not stuck:
                continue
            if not ended:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            tried = [e for e in entries if "faults" not in e]
            finished = [e for e in entries if "faults" in e]
            if len(tried) > len(finished):  # the process died or hung in a case
                why = "the process died" if ended else f"still ran after {PATIENCE_SECONDS:.0f} s"
                append(logs[worker], {**tried[-1], "faults": [why]})
            rest = left[worker][len(tried) :]
            going_on = rest and time.monotonic() < until
            pids[worker] = begin(rest, base, logs[worker], until) if going_on else 0


def outcomes(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the last outcome of each case that the logs of a folder hold."""
    return {
        (entry["target"], entry["number"]): entry
        for log in sorted(folder.glob("*.jsonl"))
        for entry in read(log)
        if "faults" in entry
    }


def begin(cases: list[tuple[str, int]], base: Path, log: Path, until: float) -> int:
    """Begin a worker process; return its number."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work(cases, base, log, until)
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)


def work(cases: list[tuple[str, int]], base: Path, log: Path, until: float) -> None:
    """Run cases one after the other, and log what came of each."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    place = base.parent / log.stem
    for target, number in cases:
        if time.monotonic() > until:
            break
        entry: dict[str, Any] = {"target": target, "number": number, "began": time.time()}
        append(log, entry)
        shutil.rmtree(place, ignore_errors=True)
        case, outcome = run_case(target, number, base, place)
        found = judge.faults(outcome)
        entry |= {
            "file": case.file,
            "way": case.way,
            "command": outcome.command,
            "code": outcome.code,
            "seconds": round(outcome.seconds, 2),
            "faults": found,
            "said": (judge.said(outcome.err) or outcome.err)[-600:] if outcome.code else "",
        }
        if found:
            entry["crash"] = outcome.crash[-1500:]
            print(json.dumps(entry, indent=1), flush=True)
        append(log, entry)
        if outcome.code is None:
            return  # what was stopped in the middle may have left a state that spoils the next


def append(log: Path, entry: dict[str, Any]) -> None:
    """Add a line to a worker's log."""
    with log.open("a", encoding="utf-8") as out:
        out.write(json.dumps(entry) + "\n")


def read(log: Path) -> list[dict[str, Any]]:
    """Return the entries of a worker's log."""
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def write(done: list[dict[str, Any]], name: str) -> None:
    """Write counts, and every case that did not behave."""
    for entry in done:
        entry.pop("began", None)
    wrong = [entry for entry in done if entry["faults"]]
    by_target = {
        target: {
            "cases": sum(entry["target"] == target for entry in done),
            "faults": sum(entry["target"] == target for entry in wrong),
        }
        for target in TARGETS
    }
    kinds = Counter(kind.split(" ")[0] for entry in wrong for kind in entry["faults"])
    codes = Counter(str(entry.get("code")) for entry in done)
    values = {
        "cases": len(done),
        "behaved": len(done) - len(wrong),
        "exit_codes": dict(sorted(codes.items())),
        "by_target": by_target,
        "kinds_of_fault": dict(kinds),
        "longest_seconds": max((entry.get("seconds", 0.0) for entry in done), default=0.0),
        "wrong": wrong,
    }
    print(write_result(name, values))
    print(json.dumps({key: value for key, value in values.items() if key != "wrong"}, indent=1))


if __name__ == "__main__":
    main()
