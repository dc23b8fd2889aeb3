"""Run and study folders with everything that finished ones hold, for the tests of the report."""

import json
import math
from collections.abc import Mapping, Sequence
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
    spread: Sequence[float] = (0.3, 0.1, -0.1, -0.3),
    extra: Mapping[str, object] | None = None,
) -> Path:
    """Write a run folder: class IoUs are ``miou`` plus ``spread``, the last class is absent."""
    folder.mkdir(parents=True)
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
    _write(folder / "result.json", result | dict(extra or {}))
    config = {
        "data": {"dataset": "camvid", "root": "data/camvid", "batch_size": 8},
        "teacher": {"network": "deeplabv3", "weights": str(teacher / "model.safetensors")}
        if teacher
        else None,
        "student": {"network": "deeplabv3", "backbone": "mobilenetv2_035", "output_stride": 16},
        "distill": [{"loss": loss, "weight": 1.0} for loss in losses],
        "training": {"steps": 400, "lr": 0.02, "seed": seed},
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


METHODS: Mapping[str, tuple[Sequence[str], float]] = {
    "plain": ((), 0.0),
    "kl": (("pixelwise_kl",), 0.024),
    "skd": (("pixelwise_kl", "pairwise_similarity"), 0.011),
    "lad": (("layer_angular", "pixelwise_kl"), 0.002),
    "mgd": (("masked_generation",), -0.018),
}
"""Losses and true gain of the methods of a made-up study."""


def make_study(
    folder: Path,
    *,
    pairs: Sequence[str] = ("student",),
    seeds: int = 8,
    trials: int = 6,
    failed: Mapping[tuple[str, int], str] | None = None,
    methods: Mapping[str, tuple[Sequence[str], float]] = METHODS,
) -> Path:
    """Write the folder of a finished study; ``failed`` names errors by method and seed."""
    folder.mkdir(parents=True, exist_ok=True)
    teacher = make_run(
        folder.parent / f"{folder.name}-teacher", name="teacher", miou=0.47, params_m=11.7
    )
    _write_study_file(folder, pairs, seeds, trials, methods)
    jobs, chosen = [], {}
    for number, pair in enumerate(pairs):
        for seed in range(seeds):
            place = f"final/{pair}/seed-{seed}"
            learners = {m: {"folder": f"{place}/{m}", "config_hash": None} for m in methods}
            job = {"id": place, "stage": "final", "pair": pair, "seed": seed, "seconds": 900.0}
            jobs.append(job | {"learners": learners})
            for method, (losses, gain) in methods.items():
                run = folder / place / method
                error = (failed or {}).get((method, seed))
                if error is not None:
                    run.mkdir(parents=True)
                    _write(run / "failed.json", {"error": error, "seconds": 12.0})
                else:
                    _make_final(run, method, losses, gain + 0.03 * number, seed, teacher, number)
        found = [
            _trial(pair, method, place, len(losses))
            for method, (losses, _) in methods.items()
            for place in range(trials)
        ]
        with (folder / "trials.jsonl").open("a") as out:
            out.writelines(json.dumps(line) + "\n" for line in found)
        chosen[pair] = {method: _best(found, method) for method in methods}
    _write(folder / "plan.json", {"hash": "5eed0123abcd", "jobs": jobs, "estimate": {}})
    _write(folder / "chosen.json", chosen)
    return folder


def _make_final(
    folder: Path,
    method: str,
    losses: Sequence[str],
    gain: float,
    seed: int,
    teacher: Path,
    pair: int,
) -> None:
    random = np.random.default_rng((seed, 7))
    noise = 0.012 * random.standard_normal()  # shared by the methods of a seed
    own = np.random.default_rng((seed, len(method), *map(ord, method)))
    miou = 0.371 + gain + noise + 0.006 * own.standard_normal()
    drift = 0.01 * own.standard_normal(4)
    spread = np.array([0.3, 0.1, -0.1, -0.3]) + drift - drift.mean()
    teaching = 240.0 if losses else 0.0
    make_run(
        folder,
        name=method,
        miou=float(miou),
        losses=losses,
        seed=seed,
        teacher=teacher,
        params_m=0.27 + 1.4 * pair,
        spread=[float(value) for value in spread],
        extra={
            "seconds": 300.0 + 40 * len(losses) + 30 + teaching,
            "own_seconds": 300.0 + 40 * len(losses),
            "batch_seconds": 30.0,
            "teacher_seconds": 240.0,
            "energy_kwh": 0.011 + 0.002 * len(losses),
            "energy_source": "rapl",
            "latency_ms": 21.5 + 8 * pair + 0.3 * float(own.standard_normal()),
        },
    )
    names = [f"street_{place}" for place in range(1, 13)]
    tilt = 25 * random.random((12, 1, 1)) + 25 * own.random((12, 1, 1)) - 300 * gain
    counts = (100 * np.eye(5) + tilt * (1 - np.eye(5)) * (np.arange(5) < 4)).clip(0).astype(int)
    counts[:, 4] = 0
    np.savez_compressed(folder / "confusion_images.npz", counts=counts, names=np.array(names))


def _trial(pair: str, method: str, number: int, losses: int) -> dict[str, object]:
    random = np.random.default_rng((number, *map(ord, pair + method)))
    params: dict[str, object] = {
        "training.lr": float(f"{0.02 * 4 ** random.uniform(-1, 1):.4g}"),
        "training.weight_decay": float(f"{5e-4 * 10 ** random.uniform(-1, 1):.4g}"),
    }
    for place in range(losses):
        params[f"distill.{place}.weight"] = float(f"{10 ** random.uniform(-1, 1):.4g}")
    status = {1: "pruned", 4: "failed" if losses > 1 else "done"}.get(number, "done")
    score = 0.33 + 0.02 * float(random.standard_normal()) - 0.03 * (status == "pruned")
    return {
        "pair": pair,
        "method": method,
        "trial": number,
        "params": params,
        "data_seed": 1000 + number,
        "config_hash": f"{number:02x}{losses:02x}c0ffee12",
        "status": status,
        "miou": None if status == "failed" else score,
        "step": 100 if status == "pruned" else 200,
        "steps": 200,
        "seconds": 61.5,
        "error": "loss task: expected a finite value, got nan" if status == "failed" else None,
    }


def _best(trials: Sequence[Mapping[str, object]], method: str) -> dict[str, object]:
    done = [one for one in trials if one["method"] == method and one["status"] == "done"]
    if not done:
        return {"trial": None, "params": {}, "miou": None, "error": None}
    best = max(done, key=lambda one: float(str(one["miou"])))
    return {key: best[key] for key in ("trial", "params", "miou", "error")}


def _write_study_file(
    folder: Path,
    pairs: Sequence[str],
    seeds: int,
    trials: int,
    methods: Mapping[str, tuple[Sequence[str], float]],
) -> None:
    tree = {
        "data": {"dataset": "camvid", "root": "data/camvid", "batch_size": 8},
        "pairs": {pair: {"teacher": {}, "student": {"network": "deeplabv3"}} for pair in pairs},
        "methods": {
            method: {"distill": [{"loss": loss} for loss in losses], "space": None}
            for method, (losses, _) in methods.items()
        },
        "training": {"steps": 400},
        "search": {
            "trials": trials,
            "sampler": "tpe",
            "steps": 200,
            "holdout": 0.2,
            "pruning": {"rungs": 1, "factor": 2},
            "seed": 0,
        },
        "seeds": list(range(seeds)),
        "match": "steps",
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))


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
