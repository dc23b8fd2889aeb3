"""Run folders with everything that a finished run holds, for the tests of the report."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

NAMES = ("sky", "building", "road", "car", "pole <thin>")
COLORS = ((128, 128, 128), (128, 0, 0), (128, 64, 128), (64, 0, 128), (192, 192, 128))


def make_run(
    folder: Path,
    *,
    name: str,
    miou: float = 0.4,
    losses: Sequence[str] = (),
    seed: int = 0,
    params_m: float | None = 0.27,
    teacher: Path | None = None,
    pictures: Sequence[str] = ("street_1", "street_2"),
) -> Path:
    """Write a run folder whose class IoUs average to ``miou``; the last class is absent."""
    folder.mkdir(parents=True)
    spread = (0.3, 0.1, -0.1, -0.3)
    iou: dict[str, float | None] = {one: miou + d for one, d in zip(NAMES[:4], spread, strict=True)}
    result = {
        "name": name,
        "method": "+".join(losses) or "plain",
        "miou": miou,
        "miou_ground_truth_classes": miou,
        "pixel_accuracy": miou + 0.3,
        "mean_accuracy": miou + 0.1,
        "frequency_weighted_iou": miou + 0.2,
        "iou": iou | {NAMES[4]: None},
        "absent_classes": [NAMES[4]],
        "images": 101,
        "pixels": 17_452_800,
        "split": "val",
        "step": 400,
        "steps": 400,
        "seconds": 612.4,
        "peak_memory_mib": 1830.5,
        "best": {"step": 300, "miou": miou + 0.004},
        "config_hash": f"{seed:02x}{len(losses):02x}0123456789abcdef",
        "seed": seed,
        "data_seed": seed,
        "colors": dict(zip(NAMES, map(list, COLORS), strict=True)),
    }
    if params_m is not None:
        result |= {"params_m": params_m, "gflops": 5 * params_m, "latency_ms": 21.5}
    _write(folder / "result.json", result)
    config = {
        "data": {"dataset": "camvid", "root": "data/camvid", "batch_size": 8},
        "teacher": {"network": "deeplabv3", "weights": str(teacher / "model.safetensors")}
        if teacher
        else None,
        "student": {"network": "deeplabv3", "backbone": "mobilenetv2_035", "output_stride": 16},
        "distill": [{"loss": loss, "weight": 1.0} for loss in losses],
    }
    (folder / "resolved.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    environment = {
        "python": "3.11.7",
        "gpu": None,
        "packages": {"torch": "2.12.1"},
        "started": "2026-11-20T13:00:00Z",
        "command": ["segdistill", "distill", "camvid-students", f"training.seed={seed}"],
    }
    _write(folder / "environment.json", environment)
    _write_metrics(folder / "metrics.jsonl", miou, losses)
    counts = (100 * np.eye(5, dtype=int) + np.arange(25).reshape(5, 5)) * 1000
    counts[4] = 0
    _write(folder / "confusion.json", {"classes": NAMES, "counts": counts.tolist()})
    _write_pictures(folder / "predictions", pictures, seed=seed + len(losses))
    return folder


def make_cohort(folder: Path) -> list[Path]:
    """Write the four runs of a demo: a teacher and three students under one seed."""
    teacher = make_run(folder / "teacher", name="teacher", miou=0.47, params_m=11.7)
    plain = make_run(folder / "plain", name="plain", miou=0.371, teacher=teacher)
    kl = make_run(folder / "kl", name="kl", miou=0.398, losses=["pixelwise_kl"], teacher=teacher)
    both = make_run(
        folder / "angular",
        name="angular",
        miou=0.393,
        losses=["layer_angular", "pixelwise_kl"],
        teacher=teacher,
    )
    return [plain, kl, both, teacher]


def _write(file: Path, value: object) -> None:
    file.write_text(json.dumps(value))


def _write_metrics(file: Path, miou: float, losses: Sequence[str]) -> None:
    lines: list[dict[str, object]] = []
    for step in range(10, 401, 10):
        task = 0.4 + 2 * math.exp(-step / 80)
        parts = {"task": task} | dict.fromkeys(losses, 0.3 * task)
        line = {"kind": "train", "step": step, "loss": sum(parts.values()), "parts": parts}
        lines.append(line | {"lr": 0.02, "images_per_second": 14.2, "seconds": 1.5 * step})
        if step % 100 == 0:
            score = miou * (1 - math.exp(-step / 120))
            scores = {"miou": score, "pixel_accuracy": score + 0.3}
            lines.append({"kind": "evaluation", "step": step, "split": "val", **scores})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    file.write_text(text + '{"kind": "train", "st')  # as a killed run leaves it


def _write_pictures(folder: Path, names: Sequence[str], *, seed: int) -> None:
    folder.mkdir()
    palette = np.array([*COLORS, (0, 0, 0)], dtype=np.uint8)
    for place, name in enumerate(names):
        random = np.random.default_rng(place)
        truth = np.repeat(np.repeat(random.integers(6, size=(6, 8)), 8, axis=0), 8, axis=1)
        image = random.integers(90, 160, size=(*truth.shape, 3)).astype(np.uint8)
        wrong = np.random.default_rng((place, seed)).random(truth.shape) < 0.2
        prediction = np.where(wrong | (truth == 5), (truth + 1) % 5, truth)
        Image.fromarray(image).save(folder / f"{name}_input.jpg")
        Image.fromarray(palette[truth]).save(folder / f"{name}_truth.png")
        Image.fromarray(palette[prediction]).save(folder / f"{name}_prediction.png")
