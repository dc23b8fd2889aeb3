"""Records with values that differ from every default, for the tests of this package."""

from dataclasses import replace
from typing import Any

from segdistill.runs.result import Best, Result, StudentCost


def result(**changes: Any) -> Result:
    """Return the result of a finished run."""
    whole = Result(
        name="kl",
        method="pixelwise_kl",
        split="val",
        miou=0.25,
        miou_ground_truth_classes=0.3,
        pixel_accuracy=0.5,
        mean_accuracy=0.4,
        frequency_weighted_iou=0.35,
        iou={"road": 0.5, "sky": None},
        absent_classes=("sky",),
        images=3,
        pixels=9216,
        colors={"road": (128, 64, 128), "sky": (70, 130, 180)},
        step=6,
        steps=8,
        seconds=2.5,
        own_seconds=1.0,
        batch_seconds=0.5,
        teacher_seconds=1.0,
        prepare_seconds=0.25,
        energy_kwh=0.01,
        energy_source="rapl",
        evaluation_seconds=0.75,
        peak_memory_mib=100.0,
        best=Best(4, 0.26),
        skipped_images=("street_1",),
        config_hash="5eed",
        seed=1,
        data_seed=2,
    )
    return replace(whole, **changes)


def cost() -> StudentCost:
    """Return what a student takes."""
    return StudentCost(params_m=0.25, gmacs=1.5, gflops=3.0, latency_ms=7.5, cost_size=(24, 32))
