"""Every file of a CamVid student: its mIoU, agreement and size, and later its time on one core.

    python benchmarks/bench_files.py --run RUN --teacher RUN --root path/to/camvid --out files

Each format is exported and goes through the gate of ``segdistill export``, on all validation
images. What it refuses is kept here, with the reasons in its row. The same call with ``--latency``
times the files that this one wrote, in turn with PyTorch's eager student and teacher; it wants an
idle machine. LiteRT and ExecuTorch need the environments that docs/deploy.md makes; formats
without theirs are left out and named.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from results_file import FOLDER, write_result
from torch import nn

import segdistill
from segdistill.api.export import Exported
from segdistill.catalogue.formats import FORMATS
from segdistill.cli.progress import display
from segdistill.delivery.gate import time_beside
from segdistill.delivery.load import watch_others
from segdistill.delivery.opening import open_file
from segdistill.errors import ConfigError
from segdistill.files import read_json
from segdistill.runs.layout import EXPORT
from segdistill.runs.result import read_result
from segdistill.trust import program_name

NAME = "files"
SCORED, TIMED = (180, 240), (360, 480)
"""The size at which the runs of ``studies/camvid`` are scored, and the whole image."""
MULTIPLES = {SCORED: (192, 256), TIMED: (352, 480)}
"""What LiteRT's converter takes instead; images are resized to it, and the logits back."""
FIXED = [name for name, row in FORMATS.items() if not row.any_size]
PASSES = 31


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("files"))
    parser.add_argument("--only", nargs="+", choices=FORMATS, default=[*FORMATS])
    parser.add_argument("--latency", action="store_true", help="time the files that are there")
    words = parser.parse_args()
    file = FOLDER / f"{NAME}.json"
    values = read_json(file) if file.exists() else {"files": {}, "left_out": {}}
    if words.latency:
        values["latency"] = time_files(words.run, words.teacher, words.out)
        keep(values)
        return
    values |= {"student": recorded(words.run), "teacher": recorded(words.teacher)}
    for name in words.only:
        try:
            values["files"][name] = score_file(words.run, words.root, words.out, name)
        except (ConfigError, ValueError) as error:
            values["left_out"][name] = str(error)
        keep(values)


def keep(values: dict[str, Any]) -> None:
    values = {key: value for key, value in values.items() if key not in ("commit", "environment")}
    print(write_result(NAME, values), flush=True)


def score_file(run: Path, root: Path, out: Path, name: str) -> dict[str, Any]:
    """Export a format and return what the gate found; a fixed size needs a file to time, too."""

    def write(size: tuple[int, int], scored: int | None) -> Exported:
        with display() as tell:
            return segdistill.export(
                run,
                place(out, name, size),
                format=name,
                size=size_of(name, size),
                scored=scored,
                overrides=[f"data.root={root}"],
                force=True,
                tell=tell,
            )

    exported = write(SCORED, None)
    if name in FIXED:
        write(TIMED, 1)
    row = asdict(exported) | {"size": size_of(name, SCORED), "file": exported.file.name}
    del row["timings"], row["format"]  # --latency times them in turn
    print(name, row, flush=True)
    return row


def time_files(run: Path, teacher: Path, out: Path) -> dict[str, Any]:
    """Return the milliseconds of each file, of the student and of the teacher, on one thread."""
    programs: dict[str, nn.Module] = {
        "student in PyTorch": segdistill.load(run).network,
        "teacher in PyTorch": segdistill.load(teacher).network,
    }
    for name in FORMATS:
        file = place(out, name, TIMED)
        if file.is_file():
            programs[name] = open_file(file, name, threads=1, trust=[program_name(file)])
    with watch_others() as others:
        timings = time_beside(programs, TIMED, threads=1, passes=PASSES)
    return {
        "size": TIMED,
        "fixed": {name: size_of(name, TIMED) for name in programs if name in FIXED},
        "threads": 1,
        "passes": PASSES,
        "others": others.share,
        "ms": {name: asdict(timing) for name, timing in timings.items()},
    }


def size_of(name: str, size: tuple[int, int]) -> tuple[int, int]:
    return MULTIPLES[size] if name.startswith("litert") else size


def place(out: Path, name: str, size: tuple[int, int]) -> Path:
    """Return where a file lies; one of any size is scored and timed."""
    folder = out / "timed" if name in FIXED and size == TIMED else out
    return folder / f"{EXPORT}{FORMATS[name].suffix}"


def recorded(run: Path) -> dict[str, Any]:
    """Return what a run's own result says of it."""
    result = read_result(run)
    return {
        "method": result.method,
        "miou": result.miou,
        "images": result.images,
        "params_m": None if result.cost is None else result.cost.params_m,
        "config_hash": result.config_hash,
    }


if __name__ == "__main__":
    main()
