"""What is made wrong, and the commands that read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from . import mutations


@dataclass(frozen=True)
class Target:
    """Files of the world and the commands that meet them, one of which is called.

    Attributes:
        share: cases of 100 in the benchmark; what trains or analyses takes longest.
        files: patterns below the world.
        commands: their words; each writes below ``out`` alone, or where ``writes`` says.
        writes: folder that is written to in place of ``out``.
        slow: needs a study, and takes seconds.
    """

    share: int
    files: tuple[str, ...]
    commands: tuple[str, ...]
    writes: str = "out"
    slow: bool = False


_RUN = ("*.json*", "*.yaml", "*.safetensors", "*.npz", "*.csv", "predictions/*", ".segd*")
TARGETS: dict[str, Target] = {
    "config": Target(
        18,
        ("run.yaml", "cohort.yaml"),
        (
            "check {file}",
            "check {file} --data",
            "bench cost {file} --size 32x32",
            "list taps {file}",
            "distill {file} --out out training.steps=1",
            "train {file} --out out training.steps=1",
        ),
    ),
    "study file": Target(
        3, ("study.yaml",), ("study {file} --out out --dry-run training.steps=1",), slow=True
    ),
    "run": Target(
        10,
        tuple(f"trained/{pattern}" for pattern in _RUN),
        (
            "evaluate trained",
            "report trained --out out/page.html",
            "predict trained photos/val/images --out out",
            "predict trained/model.safetensors photos/val/images --out out",
            "bench latency trained --size 32x32 --passes 1 --no-compile",
            "check weights.yaml teacher.weights=trained/model.safetensors --allow-weak-teacher",
        ),
    ),
    "finished run": Target(
        8,
        (*(f"trained/{pattern}" for pattern in _RUN), "trained/checkpoints/*"),
        (
            "distill run.yaml --out trained --resume",
            "distill run.yaml --out trained --resume training.steps=3",
        ),
        writes="trained",
    ),
    "half a run": Target(
        5,
        (*(f"half/{pattern}" for pattern in _RUN), "half/checkpoints/*", "half/logs/*"),
        ("distill run.yaml --out half --resume",),
        writes="half",
    ),
    "diverged run": Target(
        3,
        ("diverged/*.pt", "diverged/*.pt", "diverged/resolved.yaml"),
        ("replay diverged", "replay diverged training.accumulate=2"),
    ),
    "analysed run": Target(
        1,
        tuple(f"trained/{pattern}" for pattern in _RUN),
        ("analyse trained --out out",),
        slow=True,
    ),
    "exported run": Target(
        1,
        tuple(f"trained/{pattern}" for pattern in _RUN),
        ("export trained --out out/student.onnx --size 32x32",),
        slow=True,
    ),
    "runs": Target(
        8,
        tuple(f"cohort/{name}/{pattern}" for name in ("plain", "kl") for pattern in _RUN),
        ("report cohort --out out/page.html",),
    ),
    "study": Target(
        8,
        ("study/*.*", "study/analyses/*", "study/*/*/*/*.json*", "study/*/*/*/*/*.*"),
        ("report study --out out/page.html", "verify study", "verify study --no-data"),
        slow=True,
    ),
    "resumed study": Target(
        4,
        ("study/*.*", "study/*/*/*/*.json*", "study/*/*/*/*/*.*"),
        ("study study.yaml --out study --resume",),
        writes="study",
        slow=True,
    ),
    "pack": Target(
        8,
        ("packed/*", "tiles/*"),
        (
            "check {folder}.yaml --data",
            "check {folder}.yaml",
            "train {folder}.yaml --out out training.steps=1",
            "evaluate trained data.root={folder}",
        ),
    ),
    "photos": Target(
        7,
        ("photos/*/*/*.png", "photos/classes.txt"),
        (
            "check run.yaml",
            "check run.yaml --data",
            "check run.yaml --data --sheet out/sheet.png",
            "distill run.yaml --out out training.steps=1",
            "train run.yaml --out out training.steps=1 data.on_error=skip",
            "evaluate trained",
            "predict trained photos/val/images --out out",
            "predict trained --split val --out out --format cityscapes",
            "pack folder root=photos --out out",
            "pack folder root=photos --out out --compress",
            "init photos --out out/config.yaml",
            "convert photos --out out",
        ),
    ),
    "list": Target(
        4,
        ("photos/table.csv", "photos/classes.txt", "photos/*/*/*.png"),
        ("check list.yaml", "check list.yaml --data", "pack list root=photos --out out"),
    ),
    "weights": Target(
        2,
        ("student.pth",),
        (
            "check weights.yaml --allow-weak-teacher",
            "check weights.yaml --allow-weak-teacher student.weights=student.pth",
            "bench cost weights.yaml --size 32x32",
        ),
    ),
    "folder of a library": Target(
        3,
        ("segformer/*",),
        ("bench cost segformer.yaml --size 32x32", "check segformer.yaml"),
    ),
    "export of a tool": Target(
        7,
        ("exports/*/*", "exports/*/*/*", "exports/*/*/*/*"),
        (
            "convert exports/{folder} --out out",
            "convert exports/{folder} --out out --from {folder}",
            "init exports/{folder} --out out/config.yaml",
        ),
    ),
}


def parts(target: str, world: Path) -> list[str]:
    """Return what a target's files and commands are about, of the files and folders of a world."""
    row = TARGETS[target]
    named = {Path(pattern).parts[0] for pattern in row.files}
    named |= {Path(word.split("=")[-1]).parts[0] for line in row.commands for word in line.split()}
    named |= {f"{name}.yaml" for name in named} | {"photos"}
    return sorted(entry.name for entry in world.iterdir() if entry.name in named)


@dataclass(frozen=True)
class Case:
    """A file that was made wrong and a command that meets it.

    Attributes:
        target: of the table.
        number: of the case; with the target it decides everything.
        file: that was made wrong, below the world.
        way: how.
        words: of the command.
        writes: folder that the command writes to, below the world.
    """

    target: str
    number: int
    file: str
    way: str
    words: tuple[str, ...]
    writes: str


def make(target: str, number: int, world: Path) -> Case:
    """Make a file of a copied world wrong, and return what is to be called there."""
    row, draws = TARGETS[target], Random(f"{target} {number}")
    file = draws.choice(sorted(_files(row, world)))
    name = file.relative_to(world)
    way = mutations.change(file, draws, named="{file}" in row.commands[0])
    folder = name.parts[1] if name.parts[0] == "exports" else name.parts[0]
    command = draws.choice(row.commands).format(file=name, folder=folder)
    return Case(target, number, str(name), way, tuple(command.split()), row.writes)


def _files(row: Target, world: Path) -> Iterator[Path]:
    for pattern in row.files:
        yield from (file for file in world.glob(pattern) if file.is_file())
