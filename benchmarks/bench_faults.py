"""What commands lose when they are killed, when the disk is full, or when files break.

``python benchmarks/bench_faults.py`` kills every command at random moments, 100 times in all, runs
it again as a person would, and compares what it left with what an undisturbed one left.
``--resume`` goes on with what the last call left out. ``bench_ray.py`` takes a Ray node away.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from results_file import FOLDER, write_result

import segdistill.api.export
import segdistill.api.study  # noqa: F401 - imported before anything forks
from segdistill.cli import build_app
from segdistill.data import loader

RUN = {
    "data": {
        "dataset": "scenes",
        "size": [32, 48],
        "train_images": 6,
        "val_images": 3,
        "batch_size": 4,
        "crop": [32, 32],
    },
    "teacher": {
        "network": "fcn",
        "backbone": "resnet10t",
        "output_stride": 16,
        "width": 8,
        "untrained": True,
    },
    "student": {"network": "lraspp", "backbone": "mobilenetv2_035", "output_stride": 16},
    "training": {"steps": 16, "lr": 0.02, "checkpoint_every": 4, "log_every": 3, "device": "cpu"},
    "evaluation": {"pictures": 1},
}
STUDY = {
    **{key: RUN[key] for key in ("data", "teacher", "student", "evaluation")},
    "methods": {"kl": [{"loss": "pixelwise_kl"}]},
    "training": {**RUN["training"], "steps": 8},
    "search": {"trials": 1},
    "seeds": 1,
    "engine": {"threads": 1},
}
SEARCH = {
    **{key: STUDY[key] for key in ("data", "teacher", "training")},
    "students": {"lraspp": {"backbone": "mobilenetv2_035", "output_stride": [16, 32]}},
    "distill": [{"loss": "pixelwise_kl"}],
    "search": {"trials": 2},
    "seeds": 1,
}
TIMEOUT_SECONDS = 1800
HUNG_SECONDS = 20
"""How long a worker may read one batch here; ten minutes otherwise."""


@dataclass(frozen=True)
class Case:
    """One fault and what came of it.

    Attributes:
        command: that met it.
        fault: what was done.
        number: of the kill, 0 for other faults.
        seconds: after the command began; None where the fault was there before.
        survived: whether the second run ended well with the same files, or the fault was said
            in one message.
        note: what was lost or said.
    """

    command: str
    fault: str
    number: int
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
    kills: int  # how often it is killed, cheap commands more often


def main() -> None:
    """Run the campaign and write ``results/faults.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="no kill begins after these")
    names = [victim.name for victim in VICTIMS]
    parser.add_argument("--commands", nargs="*", choices=names, default=names)
    parser.add_argument("--resume", action="store_true", help="keep the cases of the last call")
    options = parser.parse_args()
    cases = read_cases() if options.resume else []
    victims = [victim for victim in VICTIMS if victim.name in options.commands]
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        root = Path(place)
        prepare(root)
        until = time.monotonic() + 60 * options.minutes
        for case in campaign(root, victims, {_key(case) for case in cases}, until):
            cases.append(case)
            print(case, flush=True)
            save(cases)


def campaign(
    root: Path, victims: list[Victim], known: set[tuple[str, str, int]], until: float
) -> Iterator[Case]:
    """Yield the cases that are not known yet: kills of every command in turn, then the rest."""
    undisturbed = {victim.name: measure(victim, root) for victim in victims}
    for number in range(max((victim.kills for victim in victims), default=0)):
        for victim in victims:
            due = number < victim.kills and (victim.name, "SIGKILL", number) not in known
            if due and time.monotonic() < until:
                seconds, digest = undisturbed[victim.name]
                delay = random.Random(f"{victim.name} {number}").uniform(0, seconds)
                yield kill(victim, root, number, delay, digest)
    others = {key[1] for key in known}
    for fault, (first, *_) in FAULTS.items():
        if first not in others:
            yield from fault(root)


def _key(case: Case) -> tuple[str, str, int]:
    return case.command, case.fault, case.number


def read_cases() -> list[Case]:
    """Return the cases of the last call."""
    return [Case(**case) for case in json.loads((FOLDER / "faults.json").read_text())["cases"]]


def save(cases: list[Case]) -> None:
    """Write the cases so far and how many of each command were survived."""
    counts = {
        name: [sum(case.survived for case in own), len(own)]
        for name in dict.fromkeys(case.command for case in cases)
        if (own := [case for case in cases if case.command == name])
    }
    kills = [case for case in cases if case.fault == "SIGKILL"]
    values = {
        "kills": len(kills),
        "kills_survived": sum(case.survived for case in kills),
        "survived_of": counts,
        "cases": [asdict(case) for case in cases],
    }
    write_result("faults", values)


RESUMED = ("--resume",)
VICTIMS = (
    Victim("pack", ("pack", "folder", "root=photos", "--out", "{out}"), (), "*", 18),
    Victim("convert", ("convert", "raw", "--from", "masks", "--out", "{out}"), (), "**/*.png", 18),
    Victim(
        "predict", ("predict", "trained", "photos/val/images", "--out", "{out}"), (), "*.png", 20
    ),
    Victim("report", ("report", "trained", "--out", "{out}/report.html"), (), "*.html", 18),
    Victim("distill", ("distill", "run.yaml", "--out", "{out}"), RESUMED, "model.safetensors", 14),
    Victim("export", ("export", "trained", "--out", "{out}/student.onnx"), (), "*.onnx", 6),
    Victim(
        "export onnx-int8",
        ("export", "trained", "--format", "onnx-int8", "--force", "--out", "{out}/student.onnx"),
        (),
        "*.onnx",
        4,
    ),
    Victim(  # its search and its final runs
        "study", ("study", "study.yaml", "--out", "{out}"), RESUMED, "**/model.safetensors", 6
    ),
    Victim(
        "search",
        ("search", "search.yaml", "--latency", "9000ms", "--out", "{out}"),
        RESUMED,
        "**/model.safetensors",
        6,
    ),
)


def prepare(root: Path) -> None:
    """Write configs and photos, and train the run that export, predict and report read."""
    run = {**RUN, "distill": [{"loss": "pixelwise_kl"}]}
    (root / "run.yaml").write_text(yaml.safe_dump(run))
    own = {"dataset": "folder", "root": "photos", "batch_size": 4, "crop": [32, 32]}
    steps = {**RUN["training"], "steps": 60}
    (root / "own.yaml").write_text(yaml.safe_dump({**run, "data": own, "training": steps}))
    (root / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (root / "search.yaml").write_text(yaml.safe_dump(SEARCH))
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
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not made its group yet
            os.kill(self.pid, signal.SIGKILL)
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
    loader.TIMEOUT_SECONDS = HUNG_SECONDS
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
    if code != 0:
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
        return Case(victim.name, "SIGKILL", number, seconds, True, "it had ended")
    code, said = call(root, *words, *(victim.again if had_begun else ()))
    if code != 0:
        ended = "did not end" if code is None else f"exit {code}"
        return Case(victim.name, "SIGKILL", number, seconds, False, f"{ended}: {said[-300:]}")
    same = digest_of(root / out, victim.results) == expected
    left = [str(path.relative_to(root)) for path in leftovers(root / victim.name)]
    note = "" if same else "other results"
    return Case(victim.name, "SIGKILL", number, seconds, same and not left, note + " ".join(left))


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
        told = "trying the previous one" in said
        note = "" if same else said[-300:]
        yield Case("distill", f"{name} checkpoint", 0, None, same and told, note)


def fill_disk(root: Path) -> Iterator[Case]:
    """Train onto a file system of 3 MiB, and go on where there is room."""
    small = root / "small-disk"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return  # no right to mount: not tried
    try:
        code, said = call(root, "distill", "run.yaml", "--out", str(small / "run"))
        told = "No space left" in said and "Traceback" not in said
        yield Case("distill", "disk full", 0, None, code == 1 and told, said[-300:])
        grown = ["mount", "-o", "remount,size=200m", str(small)]
        subprocess.run(grown, capture_output=True, check=True)
        words = ("--resume",) if (small / "run" / "resolved.yaml").exists() else ()
        _, said = call(root, "distill", "run.yaml", "--out", str(small / "run"), *words)
        expected = digest_of(root / "trained", "model.safetensors")
        same = digest_of(small / "run", "model.safetensors") == expected
        yield Case("distill", "disk full, then not", 0, None, same, "" if same else said[-300:])
    finally:
        subprocess.run(["umount", str(small)], capture_output=True, check=True)


def meet_lock(root: Path) -> Iterator[Case]:
    """Begin a run where another is written, and two without a folder."""
    first = begin(root, "distill", "run.yaml", "--out", "locked", "training.steps=100000")
    _wait(lambda: (root / "locked" / "resolved.yaml").exists())
    code, said = call(root, "distill", "run.yaml", "--out", "locked", "--resume")
    told = f"in use by process {first.pid}" in said and code == 2
    yield Case("distill", "folder in use", 0, None, told, "" if told else said[-300:])
    first.kill()
    pair = [begin(root, "distill", "run.yaml") for _ in range(2)]
    codes = [process.wait() for process in pair]
    folders = sorted(path.name for path in (root / "runs").glob("*"))
    fine = codes == [0, 0] and folders == ["run-1", "run-2"]
    yield Case("distill", "two at once without --out", 0, None, fine, f"{codes} {folders}")


def meet_old_lock(root: Path) -> Iterator[Case]:
    """Find the lock of a process that has ended, and one of another machine."""
    expected = digest_of(root / "trained", "model.safetensors")
    first = begin(root, "distill", "run.yaml", "--out", "old-lock")
    lock = root / "old-lock" / ".writing.lock"
    _wait(lambda: any((root / "old-lock").glob("checkpoints/step-*.pt")))
    first.kill()
    left = json.loads(lock.read_text())
    lock.write_text(json.dumps({**left, "host": "elsewhere"}))
    code, said = call(root, "distill", "run.yaml", "--out", "old-lock", "--resume")
    told = code == 2 and "on elsewhere" in said and f"delete {lock.relative_to(root)}" in said
    yield Case("distill", "a lock of another machine", 0, None, told, "" if told else said[-300:])
    # Its number is by now that of a process that runs: this one.
    lock.write_text(json.dumps({**left, "pid": os.getpid()}))
    _, said = call(root, "distill", "run.yaml", "--out", "old-lock", "--resume")
    same = digest_of(root / "old-lock", "model.safetensors") == expected and not lock.exists()
    yield Case(
        "distill", "a lock with another's number", 0, None, same, "" if same else said[-300:]
    )


def stop_study(root: Path) -> Iterator[Case]:
    """Send SIGTERM to the group of a study, and go on."""
    study = Victim(
        "study", ("study", "study.yaml", "--out", "{out}"), RESUMED, "**/model.safetensors", 0
    )
    yield stop(study, root, "stopped/**/checkpoints/step-*.pt", "SIGTERM to its group")


def stop_pack(root: Path) -> Iterator[Case]:
    """Send SIGTERM to the group of a pack of 372 images, and pack again."""
    shutil.copytree(root / "photos", root / "many")
    for file in [*(root / "many" / "train").glob("*/*.png")]:
        for number in range(30):
            shutil.copy(file, file.with_stem(f"{file.stem}-{number}"))
    pack = Victim("pack", ("pack", "folder", "root=many", "--out", "{out}"), (), "*", 0)
    yield stop(pack, root, "stopped.partial/*", "SIGTERM while packing")


def stop(victim: Victim, root: Path, begun: str, fault: str) -> Case:
    """Send SIGTERM to a command's group once some files are there, run it again, and compare."""
    apart = replace(victim, name=f"stopped-{victim.name}")
    _, expected = measure(apart, root)
    words = _words(victim.words, f"{apart.name}/stopped")
    process = begin(root, *words)
    _wait(lambda: any((root / apart.name).glob(begun)))
    os.killpg(process.pid, signal.SIGTERM)
    code = process.wait()
    left = [str(path.relative_to(root)) for path in leftovers(root / apart.name)]
    _, said = call(root, *words, *victim.again)
    same = digest_of(root / apart.name / "stopped", victim.results) == expected
    note = " ".join([f"exit {code}", *left, *([] if same else [said[-300:]])])
    return Case(victim.name, fault, 0, None, same and not left and code == 130, note)


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
        yield Case(
            "distill", f"{number.name} to the group", 0, None, same and code in (0, 130), note
        )


def lose_file(root: Path) -> Iterator[Case]:
    """Take an image away while it is trained on, and go on when it is back."""
    words = ("distill", "own.yaml", "--out", "vanished")
    image = root / "photos" / "train" / "images" / "train3.png"
    expected = trained_apart(root, "own.yaml")
    process = begin(root, *words)
    _wait(lambda: any((root / "vanished").glob("checkpoints/step-*.pt")))
    away = image.rename(image.with_suffix(".away"))
    code = process.wait()
    said = process.output.read_text().strip()
    told = code == 1 and image.name in said and "Traceback" not in said
    yield Case("distill", "an image vanishes", 0, None, told, said[-300:])
    away.rename(image)
    _, said = call(root, *words, "--resume")
    same = digest_of(root / "vanished", "model.safetensors") == expected
    yield Case(
        "distill", "an image vanishes, and is back", 0, None, same, "" if same else said[-300:]
    )


def lose_worker(root: Path) -> Iterator[Case]:
    """Kill a loader worker, or stop it so that it reads for ever; then go on."""
    expected = trained_apart(root, "own.yaml")
    for name, number in (("dies", signal.SIGKILL), ("hangs", signal.SIGSTOP)):
        out = f"worker-{name}"
        words = ("distill", "own.yaml", "--out", out, "data.workers=2")
        process = begin(root, *words)
        _wait(lambda out=out: any((root / out).glob("checkpoints/step-*.pt")))  # type: ignore[misc]
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if not children:
            continue  # it had ended
        os.kill(int(children[-1]), number)
        code = process.wait()
        said = process.output.read_text().strip()
        told = code == 1 and "worker" in said and "Traceback" not in said
        yield Case(
            "distill", f"a loader worker {name}", 0, None, told, f"exit {code}: {said[-300:]}"
        )
        _, said = call(root, *words, "--resume")
        same = digest_of(root / out, "model.safetensors") == expected
        note = "" if same else said[-300:]
        yield Case("distill", f"a loader worker {name}, then not", 0, None, same, note)


def trained_apart(root: Path, config: str) -> str:
    """Return the digest of the weights of a run that nothing disturbed."""
    out = Path(config).stem + "-undisturbed"
    if not (root / out).exists():
        call(root, "distill", config, "--out", out)
    return digest_of(root / out, "model.safetensors")


def _words(words: tuple[str, ...], out: str) -> list[str]:
    return [word.format(out=out) if "{out}" in word else word for word in words]


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + TIMEOUT_SECONDS
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)


FAULTS: dict[Callable[[Path], Iterator[Case]], tuple[str, ...]] = {
    break_checkpoints: ("flipped checkpoint", "cut checkpoint", "empty checkpoint"),
    fill_disk: ("disk full", "disk full, then not"),
    meet_lock: ("folder in use", "two at once without --out"),
    send_signals: ("SIGTERM to the group", "SIGUSR1 to the group", "SIGINT to the group"),
    meet_old_lock: ("a lock of another machine", "a lock with another's number"),
    stop_study: ("SIGTERM to its group",),
    stop_pack: ("SIGTERM while packing",),
    lose_file: ("an image vanishes", "an image vanishes, and is back"),
    lose_worker: ("a loader worker dies", "a loader worker hangs"),
}
"""What is tried beside kills, and the cases that each yields."""

if __name__ == "__main__":
    main()
