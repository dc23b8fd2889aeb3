"""The end of a run: ``result.json``, ``cost.json``, ``failed.json`` or ``pruned.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from segdistill.errors import RunFolderError
from segdistill.runs.documents import (
    check_record,
    read_document,
    read_tree,
    write_document,
    write_tree,
)
from segdistill.runs.layout import (
    CONFUSION_PICTURE,
    COST,
    FAILED,
    METRICS_PICTURE,
    PRUNED,
    REPORT,
    RESULT,
)


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """The cost of training; None for values that an older release did not record.

    Attributes:
        seconds: duration as if the run had been trained alone.
        own_seconds: time of its own steps and its stage before training.
        batch_seconds: time waiting for batches, spent once for the cohort.
        teacher_seconds: time of the teacher's forward, spent once for the cohort.
        prepare_seconds: the part of ``own_seconds`` that the stage before training took.
        energy_kwh: energy that the device would have used to train it alone; None without a meter.
    """

    seconds: float | None = None
    own_seconds: float | None = None
    batch_seconds: float | None = None
    teacher_seconds: float | None = None
    prepare_seconds: float | None = None
    energy_kwh: float | None = None


@dataclass(frozen=True)
class Best:
    """The best score during training: its step, and mIoU as a fraction."""

    step: int
    miou: float


BUSY = 0.1
"""Share of the processors above which other programs disturb a time measurement."""


@dataclass(frozen=True, kw_only=True)
class StudentCost:
    """``cost.json``: the cost of one forward pass of the student.

    Attributes:
        params_m: parameters in millions.
        gmacs: multiply-adds per image, in 10⁹.
        gflops: floating-point operations per image, in 10⁹.
        latency_ms: milliseconds per image on one thread of a CPU.
        cost_size: height and width of that image.
        latency_low_ms, latency_high_ms: tenth and ninetieth percentile of the passes.
        teacher_latency_ms, teacher_latency_low_ms, teacher_latency_high_ms: the same for the
            teacher, timed in turns with the student; None without one.
        latency_others: share of the machine's processors that other programs used meanwhile.
        timed: start of the measurement; networks with the same start were timed in turns.
    """

    params_m: float
    gmacs: float | None = None
    gflops: float | None = None
    latency_ms: float | None = None
    cost_size: tuple[int, int] | None = None
    latency_low_ms: float | None = None
    latency_high_ms: float | None = None
    teacher_latency_ms: float | None = None
    teacher_latency_low_ms: float | None = None
    teacher_latency_high_ms: float | None = None
    latency_others: float | None = None
    timed: str | None = None


@dataclass(frozen=True, kw_only=True)
class Result(TrainingCost):
    """``result.json``: the scores and costs of a finished run.

    Attributes:
        name: name of the learner.
        method: ``plain``, or the names of its losses.
        split: the split that was scored.
        miou: mean IoU over the classes that occur in labels or predictions; a fraction, like all
            scores.
        miou_ground_truth_classes: mean IoU over the classes that occur in the labels.
        pixel_accuracy, mean_accuracy, frequency_weighted_iou: other scores.
        iou: IoU by class name, None if the class is absent.
        absent_classes: classes that occur in neither labels nor predictions.
        calibration_error: expected calibration error of the pixels' probabilities; None if an
            older release did not compute it.
        boundary_iou: IoU of the pixels near edges, see ``scoring.boundary``; None likewise.
        images, pixels: number of images and labelled pixels scored.
        colors: RGB by class name.
        step, steps: number of steps finished, and planned.
        seed, data_seed: seeds of the run and of its batches.
        config_hash: hash of the settings that change the result.
        best: the best score during training, if it was scored then.
        skipped_images: images that could not be read.
        evaluation_seconds, peak_memory_mib, energy_source: duration of scoring, peak memory, and
            the energy meter.
        cost: cost of the student's forward pass, from ``cost.json``; None until it is measured.
    """

    name: str
    method: str
    split: str
    miou: float
    pixel_accuracy: float
    iou: Mapping[str, float | None]
    config_hash: str
    seed: int
    data_seed: int
    step: int
    steps: int
    miou_ground_truth_classes: float | None = None
    mean_accuracy: float | None = None
    frequency_weighted_iou: float | None = None
    absent_classes: tuple[str, ...] = ()
    calibration_error: float | None = None
    boundary_iou: float | None = None
    images: int | None = None
    pixels: int | None = None
    colors: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    best: Best | None = None
    skipped_images: tuple[str, ...] = ()
    evaluation_seconds: float | None = None
    peak_memory_mib: float | None = None
    energy_source: str | None = None
    cost: StudentCost | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return a flat mapping of JSON values, including the student's cost."""
        values = asdict(self)
        cost = values.pop("cost") or {}
        return values | cost


@dataclass(frozen=True, kw_only=True)
class Failure(TrainingCost):
    """``failed.json``: a run that cannot be trained as configured.

    Attributes:
        error: the error message.
        step: number of steps finished when it failed, None if unknown.
        config_hash: hash of its settings.
    """

    error: str
    step: int | None = None
    config_hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pruned(TrainingCost):
    """``pruned.json``: a run that left its cohort early because others were better.

    Attributes:
        step: steps finished.
        miou: its last score, a fraction.
        config_hash: hash of its settings.
    """

    step: int
    miou: float
    config_hash: str


End = Literal["done", "failed", "pruned"]
ENDS: Mapping[str, End] = {RESULT: "done", PRUNED: "pruned", FAILED: "failed"}
"""The file that a run writes at its end, and its meaning; such a run is not trained again."""


def find_end(run: Path) -> End | None:
    """Return how a run ended, None if it has not ended and may continue."""
    return next((end for name, end in ENDS.items() if (run / name).exists()), None)


def has_result(run: Path) -> bool:
    """Return whether a folder contains a finished run."""
    return (run / RESULT).is_file()


def find_results(folder: Path, pattern: str = "**") -> list[Path]:
    """Return the sorted folders of all finished runs in a folder, which may itself be one.

    Args:
        folder: where to look.
        pattern: pattern for subfolders, as in ``Path.glob``.
    """
    return sorted(file.parent for file in folder.glob(f"{pattern}/{RESULT}"))


def write_result(run: Path, result: Result) -> None:
    """Write ``result.json``, the last file of training; the cost is in a separate file."""
    values = asdict(result)
    del values["cost"]
    write_tree(run / RESULT, values)
    if result.cost is not None:
        write_cost(run, result.cost)


def remove_result(run: Path) -> None:
    """Delete the result of a run that is extended, with its pictures and page.

    The student is kept until the run has a new one.
    """
    for name in (REPORT, METRICS_PICTURE, CONFUSION_PICTURE, RESULT):
        (run / name).unlink(missing_ok=True)


def read_result(run: Path) -> Result:
    """Read ``result.json``, and ``cost.json`` if it exists.

    Raises:
        RunFolderError: the run is not finished, or a file is broken.
    """
    file = run / RESULT
    if not file.exists():
        raise RunFolderError(
            f"{run}: expected a finished run with {RESULT}, got none; let the run finish, or "
            "continue with --resume"
        )
    tree = read_tree(file)
    result = check_record(file, Result, {k: v for k, v in tree.items() if k != "cost"})
    if (run / COST).exists():
        return replace(result, cost=read_document(run / COST, StudentCost))
    if "params_m" in tree:  # format 0 kept the cost in this file
        return replace(result, cost=check_record(file, StudentCost, tree))
    return result


def write_cost(run: Path, cost: StudentCost) -> None:
    """Write ``cost.json``."""
    write_document(run / COST, cost)


def write_failure(run: Path, failure: Failure) -> None:
    """Write ``failed.json``: the run is not tried again."""
    write_document(run / FAILED, failure)


def read_failure(run: Path) -> Failure:
    """Read ``failed.json``; raises :class:`RunFolderError` if it is missing or broken."""
    return read_document(run / FAILED, Failure)


def write_pruned(run: Path, pruned: Pruned) -> None:
    """Write ``pruned.json``: the run is not tried again."""
    write_document(run / PRUNED, pruned)


def read_pruned(run: Path) -> Pruned:
    """Read ``pruned.json``; raises :class:`RunFolderError` if it is missing or broken."""
    return read_document(run / PRUNED, Pruned)
