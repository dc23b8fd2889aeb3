"""Run and study folders with everything that finished ones hold, for the tests of the report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segdistill.runs.confusion import Confusion, ImageCounts, write_confusion, write_image_counts
from segdistill.runs.environment import Environment, write_environment
from segdistill.runs.layout import METRICS
from segdistill.runs.metrics import EvaluationLine, TrainLine, append_metrics
from segdistill.runs.pictures import picture_file
from segdistill.runs.plan import Plan, PlannedCohort, PlannedRun, write_plan
from segdistill.runs.result import Best, Failure, Result, StudentCost, write_failure, write_result
from segdistill.runs.search import Choice, write_chosen
from segdistill.runs.settings import write_settings
from segdistill.runs.student import student_file
from segdistill.runs.study import final_folder, seed_folder, write_study
from segdistill.runs.trials import Trial, append_trial

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
    latency_ms: float = 21.5,
    changed: Mapping[str, Any] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    bare: bool = False,
) -> Path:
    """Write a run folder: class IoUs are ``miou`` plus ``spread``, the last class is absent.

    Args:
        folder: of the run.
        name: of the learner.
        miou: its result.
        losses: of its method.
        seed: of run and data.
        params_m: of the student; None where its cost was not counted.
        teacher: the run whose weights the teacher has.
        pictures: images of which predictions are kept.
        spread: of the class IoUs.
        latency_ms: of the student.
        changed: fields of the result that are others.
        settings: of the config, by section, that are others.
        bare: leave out everything but the result.
    """
    folder.mkdir(parents=True)
    iou: dict[str, float | None] = {one: miou + d for one, d in zip(NAMES[:4], spread, strict=True)}
    cost = None
    if params_m is not None:
        cost = StudentCost(
            params_m=params_m,
            gflops=5 * params_m,
            latency_ms=latency_ms,
            cost_size=(360, 480),
        )
    result = Result(
        name=name,
        method="+".join(losses) or "plain",
        split="val",
        miou=miou,
        miou_ground_truth_classes=miou,
        pixel_accuracy=miou + 0.3,
        mean_accuracy=miou + 0.1,
        frequency_weighted_iou=miou + 0.2,
        iou=iou | {NAMES[4]: None},
        absent_classes=(NAMES[4],),
        images=101,
        pixels=17_452_800,
        step=400,
        steps=400,
        seconds=612.4,
        peak_memory_mib=1830.5,
        best=Best(300, miou + 0.004),
        config_hash=f"{seed:02x}{len(losses):02x}0123456789abcdef",
        seed=seed,
        data_seed=seed,
        colors=dict(zip(NAMES, COLORS, strict=True)),
        cost=cost,
    )
    write_result(folder, replace(result, **dict(changed or {})))
    if bare:
        return folder
    config: dict[str, Any] = {
        "data": {"dataset": "camvid", "root": "data/camvid", "batch_size": 8},
        "teacher": {"network": "deeplabv3", "weights": str(student_file(teacher))}
        if teacher
        else None,
        "student": {"network": "deeplabv3", "backbone": "mobilenetv2_035", "output_stride": 16},
        "distill": [{"loss": loss, "weight": 1.0} for loss in losses],
        "training": {"steps": 400, "lr": 0.02, "seed": seed},
    }
    for section, values in (settings or {}).items():
        config[section] = {**(config.get(section) or {}), **values}
    write_settings(folder, config)
    environment = Environment(
        python="3.11.7",
        packages={"torch": "2.12.1"},
        started="2026-11-20T13:00:00Z",
        command=("segdistill", "distill", "camvid-students", f"training.seed={seed}"),
    )
    write_environment(folder, environment)
    _write_metrics(folder, miou, losses)
    counts = (100 * np.eye(5, dtype=int) + np.arange(25).reshape(5, 5)) * 1000
    counts[4] = 0
    write_confusion(folder, Confusion(NAMES, counts.tolist()))
    _write_pictures(folder, pictures, seed=seed + len(losses))
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
    planned: bool = True,
) -> Path:
    """Write the folder of a finished study.

    Args:
        folder: of the study; its teacher is beside it.
        pairs: names.
        seeds: how many.
        trials: of each method.
        failed: errors by method and seed.
        methods: losses and true gain by name.
        planned: whether plan and choices are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    teacher = make_run(
        folder.parent / f"{folder.name}-teacher", name="teacher", miou=0.47, params_m=11.7
    )
    _write_study_file(folder, pairs, seeds, trials, methods)
    jobs, chosen = [], {}
    for number, pair in enumerate(pairs):
        for seed in range(seeds):
            cohort = seed_folder(pair, seed)
            jobs.append(
                PlannedCohort(
                    id=cohort,
                    stage="final",
                    pair=pair,
                    seed=seed,
                    seconds=900.0,
                    learners={method: PlannedRun(f"{cohort}/{method}") for method in methods},
                )
            )
            for method, (losses, gain) in methods.items():
                run = final_folder(folder, pair, seed, method)
                error = (failed or {}).get((method, seed))
                if error is not None:
                    run.mkdir(parents=True)
                    write_failure(run, Failure(error=error, step=36, seconds=12.0))
                else:
                    _make_final(run, method, losses, gain + 0.03 * number, seed, teacher, number)
        tried = [
            _trial(pair, method, place, len(losses))
            for method, (losses, _) in methods.items()
            for place in range(trials)
        ]
        for trial in tried:
            append_trial(folder, trial)
        chosen[pair] = {method: _best(tried, method) for method in methods}
    if planned:
        write_plan(folder, Plan(hash="5eed0123abcd", jobs=tuple(jobs)))
        write_chosen(folder, chosen)
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
        latency_ms=21.5 + 8 * pair + 0.3 * float(own.standard_normal()),
        changed={
            "seconds": 300.0 + 40 * len(losses) + 30 + teaching,
            "own_seconds": 300.0 + 40 * len(losses),
            "batch_seconds": 30.0,
            "teacher_seconds": 240.0,
            "energy_kwh": 0.011 + 0.002 * len(losses),
            "energy_source": "rapl",
        },
    )
    names = tuple(f"street_{place}" for place in range(1, 13))
    tilt = 25 * random.random((12, 1, 1)) + 25 * own.random((12, 1, 1)) - 300 * gain
    counts = (100 * np.eye(5) + tilt * (1 - np.eye(5)) * (np.arange(5) < 4)).clip(0).astype(int)
    counts[:, 4] = 0
    write_image_counts(folder, ImageCounts(names, counts))


def _trial(pair: str, method: str, number: int, losses: int) -> Trial:
    random = np.random.default_rng((number, *map(ord, pair + method)))
    params: dict[str, object] = {
        "training.lr": float(f"{0.02 * 4 ** random.uniform(-1, 1):.4g}"),
        "training.weight_decay": float(f"{5e-4 * 10 ** random.uniform(-1, 1):.4g}"),
    }
    for place in range(losses):
        params[f"distill.{place}.weight"] = float(f"{10 ** random.uniform(-1, 1):.4g}")
    failed = number == 4 and losses > 1
    score = 0.33 + 0.02 * float(random.standard_normal()) - 0.03 * (number == 1)
    return Trial(
        pair=pair,
        method=method,
        trial=number,
        params=params,
        data_seed=1000 + number,
        config_hash=f"{number:02x}{losses:02x}c0ffee12",
        status="failed" if failed else "pruned" if number == 1 else "done",
        miou=None if failed else score,
        step=100 if number == 1 else 200,
        steps=200,
        seconds=61.5,
        error="loss task: expected a finite value, got nan" if failed else None,
    )


def _best(trials: Sequence[Trial], method: str) -> Choice:
    done = [one for one in trials if one.method == method and one.status == "done"]
    if not done:
        return Choice()
    best = max(done, key=lambda trial: trial.miou or 0.0)
    return Choice(best.trial, best.params, best.miou, best.error)


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
    write_study(folder, tree)


def _write_metrics(run: Path, miou: float, losses: Sequence[str]) -> None:
    for step in range(10, 401, 10):
        task = 0.4 + 2 * math.exp(-step / 80)
        parts = {"task": task} | dict.fromkeys(losses, 0.3 * task)
        append_metrics(
            run,
            TrainLine(
                step=step,
                loss=sum(parts.values()),
                parts=parts,
                lr=0.02,
                images_per_second=14.2,
                seconds=1.5 * step,
            ),
        )
        if step % 100 == 0:
            score = miou * (1 - math.exp(-step / 120))
            line = EvaluationLine(step=step, split="val", miou=score, pixel_accuracy=score + 0.3)
            append_metrics(run, line)
    with (run / METRICS).open("a") as file:
        file.write('{"kind": "train", "st')  # as a killed run leaves it


def _write_pictures(run: Path, names: Sequence[str], *, seed: int) -> None:
    palette = np.array([*COLORS, (0, 0, 0)], dtype=np.uint8)
    for place, name in enumerate(names):
        random = np.random.default_rng(place)
        truth = np.repeat(np.repeat(random.integers(6, size=(6, 8)), 8, axis=0), 8, axis=1)
        image = random.integers(90, 160, size=(*truth.shape, 3)).astype(np.uint8)
        wrong = np.random.default_rng((place, seed)).random(truth.shape) < 0.2
        prediction = np.where(wrong | (truth == 5), (truth + 1) % 5, truth)
        picture_file(run, name, "input").parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(picture_file(run, name, "input"))
        Image.fromarray(palette[truth]).save(picture_file(run, name, "truth"))
        Image.fromarray(palette[prediction]).save(picture_file(run, name, "prediction"))
