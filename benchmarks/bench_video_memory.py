"""Memory of predicting a long video: it is to stay flat.

    python benchmarks/bench_video_memory.py MODEL [--frames 3000]

A run or an exported file predicts a video of 160x120 in this process, on one thread, as a video of
overlays and as a file for each frame. Told is the resident memory after each tenth of the frames,
and how much came after the first tenth, when every buffer has been used.
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_window_memory import resident_mib
from results_file import write_result

import segdistill
from segdistill.catalogue.predictions import Format
from segdistill.data.video import write_video
from segdistill.training.events import Event, Progress

HEIGHT, WIDTH = 120, 160
KINDS: tuple[Format, ...] = ("overlay", "ids")


def make_video(file: Path, frames: int) -> None:
    """Write a video of a pattern that moves by a pixel each frame."""
    pattern = np.random.default_rng(0).integers(256, size=(HEIGHT // 8, WIDTH // 8, 3))
    picture = pattern.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    with write_video("bench", file, Fraction(25)) as video:
        for number in range(frames):
            video.add(np.roll(picture, number, axis=1))


def resident(model: Path, video: Path, out: Path, kind: Format, frames: int) -> list[float]:
    """Return the resident memory in MiB after each tenth of the frames."""
    found: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Progress) and event.done % (frames // 10) == 0:
            found.append(resident_mib("VmRSS"))

    segdistill.predict(model, [video], out, kind=kind, tell=note)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--frames", type=int, default=3000)
    words = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "long.mp4"
        make_video(video, words.frames)
        for kind in KINDS:
            mib = resident(words.model, video, Path(folder) / kind, kind, words.frames)
            rows[kind] = {"resident_mib": mib, "grown_mib": mib[-1] - mib[0]}
            print(kind, rows[kind], flush=True)
    values = {"model": words.model.name, "frames": words.frames, "size": (HEIGHT, WIDTH)}
    print(write_result("video_memory", values | {"kinds": rows}))


if __name__ == "__main__":
    main()
