"""Images per second and core of the training loader, and whether it keeps a student busy.

    python benchmarks/bench_loading.py [--parts crops feeding memory evaluation]

Images are drawn street scenes of the sizes of the real datasets; one thread computes.

- ``crops``: plain files and packed copies, raw and compressed, against decoding, resizing all and
  cropping. The ways take turns, and the best round of five counts.
- ``feeding``: a MobileNetV2 student trained from one loader worker: waiting and computing.
- ``memory``: what a list of 20 000 images and further epochs cost a worker.
- ``evaluation``: full images scored with and without reading ahead.

Parts that are not measured keep their values in the result file.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import loading_parts
import torch
from PIL import Image
from results_file import FOLDER, write_result
from torch.nn import functional as F
from torchvision.io import ImageReadMode, decode_image

from segdistill.data import build_dataset
from segdistill.data.files.masks import read_mask
from segdistill.data.files.reading import read_image
from segdistill.data.formats.scenes import scenes
from segdistill.data.pack.packing import pack
from segdistill.data.stream import Stream
from segdistill.data.transforms import Recipe, draw_region, resize_labels, resize_region
from segdistill.seeding import draws
from segdistill.types import SegDataset

CASES = {
    "2048x1024 png, crop 512x1024": ((1024, 2048), "png", (512, 1024)),
    "480x360 png, crop 360x360": ((360, 480), "png", (360, 360)),
    "683x512 jpeg, crop 512x512": ((512, 683), "jpg", (512, 512)),
}
BATCH = {(512, 1024): 2, (360, 360): 8, (512, 512): 4}
SCALE = (0.5, 2.0)
SEED = 0


def write_tree(root: Path, size: tuple[int, int], suffix: str, count: int) -> None:
    drawn = scenes(split="val", size=size, val_images=count)
    (root / "classes.txt").write_text("\n".join(drawn.classes.names))
    for part in ("images", "masks"):
        (root / "train" / part).mkdir(parents=True)
    for index in range(count):
        sample = drawn[index]
        options = {"quality": 90} if suffix == "jpg" else {}
        Image.fromarray(sample.image).save(root / f"train/images/{index}.{suffix}", **options)
        Image.fromarray(sample.mask).save(root / f"train/masks/{index}.png")


def forms(folder: Path, size: tuple[int, int], suffix: str, count: int) -> dict[str, SegDataset]:
    """Return the same drawn images as plain files and as both packed copies."""
    root = folder / "plain"
    root.mkdir()
    write_tree(root, size, suffix, count)
    options = {"dataset": "folder", "root": str(root)}
    datasets = {"plain": build_dataset(options, split="train")}
    for name in ("packed", "compressed"):
        out = folder / name
        pack({"train": datasets["plain"]}, out, options=options, compress=name == "compressed")
        datasets[name] = build_dataset({**options, "root": str(out)}, split="train")
    return datasets


def resize_all(root: Path, suffix: str, crop: tuple[int, int]) -> Callable[[int, int], object]:
    """Return the usual pipeline, done well: torchvision's decoder, torch's resize, uint8."""

    def load(index: int, step: int) -> object:
        draw = random.Random(step)
        image = decode_image(f"{root}/train/images/{index}.{suffix}", ImageReadMode.RGB)
        mask = decode_image(f"{root}/train/masks/{index}.png", ImageReadMode.UNCHANGED)
        scale = draw.uniform(*SCALE)
        size = [round(side * scale) for side in image.shape[1:]]
        image = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
        mask = F.interpolate(mask[None], size, mode="nearest-exact")[0]
        pad = [0, max(0, crop[1] - size[1]), 0, max(0, crop[0] - size[0])]
        if any(pad):
            image, mask = F.pad(image, pad, value=0), F.pad(mask, pad, value=255)
        top = draw.randint(0, image.shape[1] - crop[0])
        left = draw.randint(0, image.shape[2] - crop[1])
        image = image[:, top : top + crop[0], left : left + crop[1]]
        mask = mask[:, top : top + crop[0], left : left + crop[1]]
        if draw.random() < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        return image.contiguous(), mask[0].long()

    return load


def crop_first(dataset: SegDataset, recipe: Recipe) -> Callable[[int, int], object]:
    stream = Stream(dataset, recipe, batch_size=1, seed=SEED)
    return lambda index, step: stream.batch(step)


def seconds(call: Callable[[int, int], object], count: int, samples: int) -> list[float]:
    """Time single samples; the first round over the images fills the disk cache."""
    for index in range(count):
        call(index, index)
    times = []
    for step in range(samples):
        start = time.perf_counter()
        call(step % count, step)
        times.append(time.perf_counter() - start)
    return times


def stages_ms(root: Path, suffix: str, recipe: Recipe, count: int) -> dict[str, float]:
    """Return what the stages of a sample cost where files are decoded whole, mean milliseconds."""
    spent = {"decode image": 0.0, "decode mask": 0.0, "resize image": 0.0, "resize labels": 0.0}
    steps = 4 * count
    for step in range(steps):
        index = step % count
        marks = [time.perf_counter()]
        image = read_image(root / f"train/images/{index}.{suffix}")
        marks.append(time.perf_counter())
        mask = read_mask(root / f"train/masks/{index}.png")
        marks.append(time.perf_counter())
        region = draw_region(image.shape[:2], mask, recipe, draws(SEED, "augment", step, 0))
        resize_region(image, region)
        marks.append(time.perf_counter())
        resize_labels(mask, region)
        marks.append(time.perf_counter())
        for name, before, after in zip(spent, marks[:-1], marks[1:], strict=True):
            spent[name] += after - before
    return {name: round(1e3 * total / steps, 2) for name, total in spent.items()}


def crops() -> dict[str, object]:
    return {name: measure_crops(*case) for name, case in CASES.items()}


def measure_crops(size: tuple[int, int], suffix: str, crop: tuple[int, int]) -> dict[str, object]:
    count, samples = (6, 36) if size[0] > 600 else (12, 96)
    recipe = Recipe(crop, SCALE, flip=True)
    with tempfile.TemporaryDirectory() as folder:
        datasets = forms(Path(folder), size, suffix, count)
        root = Path(folder) / "plain"
        calls = {"resize_all": resize_all(root, suffix, crop)}
        calls |= {name: crop_first(data, recipe) for name, data in datasets.items()}
        rounds: dict[str, list[float]] = {name: [] for name in calls}
        # In turns, and the best of five, since other work on the machine only adds time.
        for _ in range(5):
            for name, call in calls.items():
                rounds[name].append(statistics.mean(seconds(call, count, samples)))
        ms = {name: 1e3 * min(means) for name, means in rounds.items()}
        return {
            "ms_per_image": {name: round(value, 2) for name, value in ms.items()},
            "images_per_second": {name: round(1e3 / value, 1) for name, value in ms.items()},
            **{f"{name}_speedup": round(ms["resize_all"] / ms[name], 2) for name in datasets},
            "stages_ms": stages_ms(root, suffix, recipe, count),
            "mib_per_image": {name: mib(Path(folder) / name, count) for name in datasets},
        }


def mib(folder: Path, count: int) -> float:
    total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return round(total / count / 2**20, 2)


def feeding() -> dict[str, object]:
    results: dict[str, object] = {}
    for name, (size, suffix, crop) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            datasets = forms(Path(folder), size, suffix, 6)
            recipe = Recipe(crop, SCALE, flip=True)
            results[name] = loading_parts.feeding(datasets, recipe, BATCH[crop], steps=7)
    return results


def memory() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        return loading_parts.memory(Path(folder))


def evaluation() -> dict[str, object]:
    name = next(iter(CASES))
    size, suffix, _ = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        datasets = forms(Path(folder), size, suffix, 6)
        del datasets["packed"]  # mapped arrays: nothing to read ahead
        return {name: loading_parts.evaluation(datasets, rounds=5)}


PARTS = {"crops": crops, "feeding": feeding, "memory": memory, "evaluation": evaluation}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    torch.set_num_threads(1)
    words = parser.parse_args()
    file = FOLDER / "loading.json"
    before = json.loads(file.read_text()) if file.is_file() else {}
    parts = {name: before[name] for name in PARTS if name in before}
    for name in words.parts:
        parts[name] = PARTS[name]()
        print(name, json.dumps(parts[name], indent=1))
        write_result(
            "loading",
            {
                "targets": {"plain_speedup": 1.4, "packed_speedup": 8.0, "list_mib": 50},
                "scale": SCALE,
                "seed": SEED,
                "threads": 1,
                **parts,
            },
        )


if __name__ == "__main__":
    main()
