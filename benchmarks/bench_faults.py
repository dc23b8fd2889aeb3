"""What commands lose when they are killed, when the disk is full, or when files break.

``python benchmarks/bench_faults.py --kills 5`` kills every command five times at random moments,
runs it again as a person would, and compares what it left with what an undisturbed one left.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from results_file import write_result

import segdistill.api.export
import segdistill.api.study  # noqa: F401 - imported before anything forks
from segdistill.cli import build_app

RUN = {
    "data": {
        "dataset": "scenes",
        "size": [48, 64],
        "train_images": 6,
        "val_images": 3,
        "batch_size": 4,
        "crop": [32, 48],
    },
    "teacher": {"network": "fcn", "backbone": "resnet10t", "output_stride": 16, "width": 16},
    "student": {"network": "lraspp", "backbone": "mobilenetv2_035", "output_stride": 16},
    "training": {"steps": 40, "lr": 0.02, "checkpoint_every": 5, "log_every": 3, "device": "cpu"},
    "evaluation": {"pictures": 1},
}
STUDY = {
    **{key: RUN[key] for key in ("data", "teacher", "student", "evaluation")},
    "methods": {"kl": [{"loss": "pixelwise_kl"}]},
    "training": {**RUN["training"], "steps": 8},
    "search": {"trials": 0},
    "seeds": 1,
    "engine": {"threads": 1},
}
TIMEOUT_SECONDS = 240


@dataclass(frozen=True)
class Case:
    """One fault and what came of it.

    Attributes:
        command: that met it.
        fault: what was done.
        seconds: after the command began; None where the fault was there before.
        survived: whether the second run ended well with the same files, or the fault was said
            in one message.
        note: what was lost or said.
    """

    command: str
    fault: str
    seconds: float | None
    survived: bool
    note: str


@dataclass(frozen=True)
class Victim:
    """A command, how it is run again, and the files that have to be the same."""

    name: str
    words: tuple[str, ...]
    again: tuple[str, ...]
    results: str  # a glob below its folder


def main() -> None:
    """Run the campaign and write ``results/faults.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=15, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="no kill begins after these")
    names = [victim.name for victim in VICTIMS]
    parser.add_argument("--commands", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    draws = random.Random(options.seed)
    victims = [victim for victim in VICTIMS if victim.name in options.commands]
    cases: list[Case] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        root = Path(place)
        prepare(root)
        undisturbed = {victim.name: measure(victim, root) for victim in victims}
        until = time.monotonic() + 60 * options.minutes
        for number in range(options.kills):
            for victim in victims:
                if time.monotonic() < until:
                    seconds, digest = undisturbed[victim.name]
                    cases.append(kill(victim, root, number, draws.uniform(0, seconds), digest))
                    print(cases[-1], flush=True)
        save(cases, options.seed)
        for fault in (break_checkpoints, fill_disk, meet_lock, send_signals):
            for case in fault(root):
                cases.append(case)
                print(case, flush=True)
                save(cases, options.seed)


def save(cases: list[Case], seed: int) -> None:
    """Write the cases so far and how many of each command were survived."""
    counts = {
        name: [sum(case.survived for case in own), len(own)]
        for name in dict.fromkeys(case.command for case in cases)
        if (own := [case for case in cases if case.command == name])
    }
    values = {"seed": seed, "survived_of": counts, "cases": [asdict(c) for c in cases]}
    write_result("faults", values)


RESUMED = ("--resume",)
VICTIMS = (
    Victim("distill", ("distill", "run.yaml", "--out", "{out}"), RESUMED, "model.safetensors"),
    Victim(
        "study", ("study", "study.yaml", "--out", "{out}"), RESUMED, "final/**/model.safetensors"
    ),
    Victim("pack", ("pack", "folder", "root=photos", "--out", "{out}"), (), "*"),
    Victim("export", ("export", "trained", "--out", "{out}/student.onnx"), (), "*.onnx"),
    Victim("predict", ("predict", "trained", "photos/val/images", "--out", "{out}"), (), "*.png"),
    Victim("report", ("report", "trained", "--out", "{out}/report.html"), (), "*.html"),
    Victim("convert", ("convert", "raw", "--from", "masks", "--out", "{out}"), (), "**/*.png"),
)


def prepare(root: Path) -> None:
    """Write configs and photos, and train the run that export, predict and report read."""
    run = {**RUN, "distill": [{"loss": "pixelwise_kl"}]}
    (root / "run.yaml").write_text(yaml.safe_dump(run))
    (root / "study.yaml").write_text(yaml.safe_dump(STUDY))
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for number in range(12):
            image = generator.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            mask = (image[..., 0] // 100).astype(np.uint8)
            for folder, picture in (("images", image), ("masks", mask)):
                for parent in (f"photos/{split}/{folder}", f"raw/{folder}"):
                    (root / parent).mkdir(parents=True, exist_ok=True)
                    Image.fromarray(picture).save(root / parent / f"{split}{number}.png")
    (root / "photos" / "classes.txt").write_text("low\nmiddle\nhigh\n")
    code, said = call(root, "distill", "run.yaml", "--out", "trained")
    if code:
        sys.exit(said)


@dataclass(frozen=True)
class Program:
    """A command in a process group of its own, forked so that it need not import anything."""

    pid: int
    output: Path

    def wait(self, seconds: float = TIMEOUT_SECONDS) -> int | None:
        """Return the exit code, None where it still runs after some seconds."""
        until = time.monotonic() + seconds
        while True:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > until:
                return None
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill it and its workers."""
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()


def begin(root: Path, *words: str) -> Program:
    """Begin a command."""
    output = root / f"output-{time.monotonic_ns()}.txt"
    pid = os.fork()
    if pid:
        return Program(pid, output)
    os.setsid()
    os.chdir(root)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["segdistill", *words]
    code = 1
    try:
        build_app()()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def call(root: Path, *words: str) -> tuple[int | None, str]:
    """Run a command to its end; return the exit code and what it said."""
    program = begin(root, *words)
    code = program.wait()
    if code is None:
        program.kill()
    return code, program.output.read_text().strip()


def measure(victim: Victim, root: Path) -> tuple[float, str]:
    """Return how long an undisturbed command takes, and the digest of its results."""
    (root / victim.name).mkdir()
    began = time.monotonic()
    code, said = call(root, *_words(victim.words, f"{victim.name}/whole"))
    if code:
        sys.exit(f"{victim.name}: {said}")
    return time.monotonic() - began, digest_of(root / victim.name / "whole", victim.results)


def kill(victim: Victim, root: Path, number: int, seconds: float, expected: str) -> Case:
    """Kill a command after some seconds, run it again, and compare."""
    out = f"{victim.name}/killed-{number}"
    words = _words(victim.words, out)
    program = begin(root, *words)
    if program.wait(seconds) is None:
        program.kill()
    had_begun = bool(victim.again) and (root / out).exists() and any((root / out).iterdir())
    if victim.name == "pack" and (root / out).exists():
        return Case(victim.name, "SIGKILL", seconds, True, "it had ended")
    code, said = call(root, *words, *(victim.again if had_begun else ()))
    if code:
        return Case(victim.name, "SIGKILL", seconds, False, f"exit {code}: {said[-300:]}")
    same = digest_of(root / out, victim.results) == expected
    left = [str(path.relative_to(root)) for path in leftovers(root / victim.name)]
    note = "" if same else "other results"
    return Case(victim.name, "SIGKILL", seconds, same and not left, note + " ".join(left))


def digest_of(folder: Path, results: str) -> str:
    """Return one digest of the files of a folder that a pattern names."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.glob(results) if path.is_file()):
        if file.suffix == ".html" or file.name.startswith("."):
            continue  # names the folder, or its writer
        digest.update(f"{file.relative_to(folder)} {file.stat().st_size}".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def leftovers(folder: Path) -> Iterator[Path]:
    """Yield temporary files, half folders and locks."""
    for pattern in ("**/.*.tmp", "*.partial*", "**/.writing.lock", ".*.lock"):
        yield from folder.glob(pattern)


def break_checkpoints(root: Path) -> Iterator[Case]:
    """Flip a bit, cut and empty the newest checkpoint, and all of them."""
    breaks: dict[str, Callable[[bytes], bytes]] = {
        "flipped": lambda content: content[:999] + bytes([content[999] ^ 1]) + content[1000:],
        "cut": lambda content: content[: len(content) // 2],
        "empty": lambda content: b"",
    }
    expected = digest_of(root / "trained", "model.safetensors")
    for name, change in breaks.items():
        out = f"checkpoint-{name}"
        process = begin(root, "distill", "run.yaml", "--out", out)
        _wait(lambda out=out: len([*(root / out).glob("checkpoints/step-*.pt")]) > 1)  # type: ignore[misc]
        process.kill()
        newest = max((root / out / "checkpoints").glob("step-*.pt"))
        newest.write_bytes(change(newest.read_bytes()))
        _, said = call(root, "distill", "run.yaml", "--out", out, "--resume")
        same = digest_of(root / out, "model.safetensors") == expected
        told = "trying the one before" in said
        note = "" if same else said[-300:]
        yield Case("distill", f"{name} checkpoint", None, same and told, note)


def fill_disk(root: Path) -> Iterator[Case]:
    """Train onto a file system of 3 MiB, and go on where there is room."""
    small = root / "small-disk"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield Case("distill", "disk full", None, True, "not tried: no right to mount")
        return
    try:
        code, said = call(root, "distill", "run.yaml", "--out", str(small / "run"))
        told = "No space left" in said and "Traceback" not in said
        yield Case("distill", "disk full", None, code == 1 and told, said[-300:])
        grown = ["mount", "-o", "remount,size=200m", str(small)]
        subprocess.run(grown, capture_output=True, check=True)
        words = ("--resume",) if (small / "run" / "resolved.yaml").exists() else ()
        _, said = call(root, "distill", "run.yaml", "--out", str(small / "run"), *words)
        expected = digest_of(root / "trained", "model.safetensors")
        same = digest_of(small / "run", "model.safetensors") == expected
        yield Case("distill", "disk full, then not", None, same, "" if same else said[-300:])
    finally:
        subprocess.run(["umount", str(small)], capture_output=True, check=True)


def meet_lock(root: Path) -> Iterator[Case]:
    """Begin a run where another is written, and two without a folder."""
    first = begin(root, "distill", "run.yaml", "--out", "locked", "training.steps=100000")
    _wait(lambda: (root / "locked" / "resolved.yaml").exists())
    code, said = call(root, "distill", "run.yaml", "--out", "locked", "--resume")
    told = f"in use by process {first.pid}" in said and code == 2
    yield Case("distill", "folder in use", None, told, "" if told else said[-300:])
    first.kill()
    pair = [begin(root, "distill", "run.yaml") for _ in range(2)]
    codes = [process.wait() for process in pair]
    folders = sorted(path.name for path in (root / "runs").glob("*"))
    fine = codes == [0, 0] and folders == ["run-1", "run-2"]
    yield Case("distill", "two at once without --out", None, fine, f"{codes} {folders}")


def send_signals(root: Path) -> Iterator[Case]:
    """Send what schedulers send to the whole group, workers included, and go on."""
    expected = digest_of(root / "trained", "model.safetensors")
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        out = f"signal-{number.name}"
        words = ("distill", "run.yaml", "--out", out, "data.workers=2")
        process = begin(root, *words)
        _wait(lambda out=out: any((root / out).glob("checkpoints/step-*.pt")))  # type: ignore[misc]
        os.killpg(process.pid, number)
        code = process.wait()
        _, said = call(root, *words, "--resume")
        same = digest_of(root / out, "model.safetensors") == expected
        note = f"exit {code}" + ("" if same else said[-300:])
        yield Case("distill", f"{number.name} to the group", None, same and code in (0, 130), note)


def _words(words: tuple[str, ...], out: str) -> list[str]:
    return [word.format(out=out) if "{out}" in word else word for word in words]


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + TIMEOUT_SECONDS
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)


if __name__ == "__main__":
    main()
