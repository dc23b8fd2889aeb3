"""Memory of windowed prediction of 12.5 to 100 megapixels, 20 classes: it is to stay below 2 GiB.

    python benchmarks/bench_window_memory.py [--sizes 12.5 50 100]

One thread. A file is read, predicted by windows and its mask written, as ``segdistill predict``
does for each image, in a process of its own. Told are the highest resident memory of that process,
and how much of it came after its start: Python, the libraries and the network. What grows with the
image is the image, 3 bytes a pixel and twice that while it is decoded, and its mask; windows of
the rows in hand grow with its width. The networks are one convolution, since their own memory is
that of a window: of stride 8, as most are, and of stride 1, which makes windows 64 times larger.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CLASSES, WINDOW, LIMIT_MIB = 20, 512, 2048
CASES = {
    "stride 8, mask": (8, "ids", 0.0),
    "stride 8, least confidence": (8, "ids", 0.5),
    "stride 8, overlay": (8, "overlay", 0.0),
    "stride 1, mask": (1, "ids", 0.0),
}


def make_image(path: Path, megapixels: float) -> None:
    """Write a picture whose sides are 4 to 5, of coarse random blocks."""
    import numpy as np
    from PIL import Image

    height = 40 * round((megapixels * 1e6 / 1.25) ** 0.5 / 40)
    blocks = np.random.default_rng(0).integers(256, size=(height // 40, height // 32, 3))
    Image.MAX_IMAGE_PIXELS = None
    size = (height // 32 * 40, height // 40 * 40)
    Image.fromarray(blocks.astype(np.uint8)).resize(size, Image.Resampling.NEAREST).save(path)


def resident_mib(kind: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) / 1024


def work(file: str, out: str, stride: int, kind: Any, confidence: float) -> dict[str, Any]:
    """Predict one image in this process."""
    import torch
    from torch import Tensor, nn

    from segdistill.api.prediction import segment
    from segdistill.config import EvaluationConfig
    from segdistill.data.files.reading import read_image
    from segdistill.data.submission import write_prediction
    from segdistill.types import Classes, SegOutput

    class Convolution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, CLASSES, stride, stride=stride)

        def forward(self, images: Tensor) -> SegOutput:
            return SegOutput(self.convolution(images))

    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = Convolution().eval()
    settings = EvaluationConfig(window=(WINDOW, WINDOW))
    classes = Classes(
        tuple(f"class {i}" for i in range(CLASSES)), tuple((9 * i, i, 0) for i in range(CLASSES))
    )
    segment(network, read_image(Path(file).with_name("small.png")), settings)
    start, began = resident_mib("VmRSS"), time.perf_counter()
    image = read_image(Path(file))
    after_reading = resident_mib("VmHWM")
    ids = segment(network, image, settings, confidence=confidence)
    after_predicting = resident_mib("VmHWM")
    write_prediction(Path(out), ids, image, "mask", classes, kind)
    peak = resident_mib("VmHWM")
    return {
        "megapixels": image.shape[0] * image.shape[1] / 1e6,
        "start_mib": start,
        "peak_after_reading_mib": after_reading,
        "peak_after_predicting_mib": after_predicting,
        "peak_mib": peak,
        "peak_above_start_mib": peak - start,
        "seconds": time.perf_counter() - began,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=float, default=[12.5, 50.0, 100.0])
    parser.add_argument("--only", nargs="+", choices=CASES, default=[*CASES])
    parser.add_argument("--job", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.job:
        print(json.dumps(work(*json.loads(words.job))))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_image(Path(folder) / "small.png", 1.0)
        for megapixels in words.sizes:
            file = Path(folder) / f"{megapixels:g}.png"
            make_image(file, megapixels)
            for name in words.only:
                job = json.dumps([str(file), f"{folder}/out", *CASES[name]])
                done = subprocess.run(
                    [sys.executable, __file__, "--job", job],
                    env=dict(os.environ, OMP_NUM_THREADS="1"),
                    stdout=subprocess.PIPE,
                    check=True,
                    text=True,
                )
                measured = {"asked_megapixels": megapixels, **json.loads(done.stdout)}
                keep({"case": name, **measured, "met": measured["peak_mib"] < LIMIT_MIB})


def keep(row: dict[str, Any]) -> None:
    """Put a row into the result file, in the place of an older one of that case and size."""
    from results_file import FOLDER, write_result  # loads what is no part of what is measured

    print(json.dumps(row), flush=True)
    file = FOLDER / "window_memory.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    same = ("case", "asked_megapixels")
    rows = [one for one in rows if any(one[key] != row[key] for key in same)] + [row]
    values = {"threads": 1, "classes": CLASSES, "window": WINDOW, "limit_mib": LIMIT_MIB}
    write_result("window_memory", values | {"rows": rows})


if __name__ == "__main__":
    main()
