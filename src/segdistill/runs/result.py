"""How a run ended: ``result.json``, ``cost.json``, ``failed.json`` or ``pruned.json``."""

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
    """What training took; None where an older release did not write it down.

    Attributes:
        seconds: as if the run had been trained alone.
        own_seconds: its own steps, and its stage before training.
        batch_seconds: waiting for batches, once for the cohort.
        teacher_seconds: the teacher's forward, once for the cohort.
        prepare_seconds: of ``own_seconds``, the stage before training.
        energy_kwh: of the device while it would have trained alone; None without a meter.
    """

    seconds: float | None = None
    own_seconds: float | None = None
    batch_seconds: float | None = None
    teacher_seconds: float | None = None
    prepare_seconds: float | None = None
    energy_kwh: float | None = None


@dataclass(frozen=True)
class Best:
    """The best score on the way: its step, and mIoU as a fraction."""

    step: int
    miou: float


BUSY = 0.1
"""Share of the processors from which on other programs disturb a measurement of time."""


@dataclass(frozen=True, kw_only=True)
class StudentCost:
    """``cost.json``: what one forward pass of the student takes.

    Attributes:
        params_m: parameters, in millions.
        gmacs: multiply-adds of one image, in 10⁹.
        gflops: operations of one image, in 10⁹.
        latency_ms: of one image on one thread of a CPU.
        cost_size: height and width of that image.
        latency_low_ms, latency_high_ms: tenth and ninetieth percentile of the passes.
        teacher_latency_ms, teacher_latency_low_ms, teacher_latency_high_ms: of the teacher, timed
            in turns with the student; None without one.
        latency_others: share of the machine's processors that other programs took meanwhile.
        timed: of the measurement, when it began; networks of one were timed in turns.
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
    """``result.json``: what a finished run scored, and what it took.

    Attributes:
        name: of the learner.
        method: ``plain``, or the names of its losses.
        split: that was scored.
        miou: mean IoU over the classes that truth or prediction contain, a fraction, as are all
            scores.
        miou_ground_truth_classes: over the classes that the truth contains.
        pixel_accuracy, mean_accuracy, frequency_weighted_iou: other scores.
        iou: by class name, None where the class is absent.
        absent_classes: in neither truth nor prediction.
        calibration_error: expected calibration error of the pixels' probabilities, None where an
            older release did not count it, as is
        boundary_iou: of the pixels near an edge; see ``scoring.boundary``.
        images, pixels: how many were scored.
        colors: RGB by class name.
        step, steps: finished, and planned.
        seed, data_seed: of the run and of its batches.
        config_hash: of the settings that change the result.
        best: the best score on the way, if it was scored on the way.
        skipped_images: that could not be read.
        evaluation_seconds, peak_memory_mib, energy_source: what scoring took, the largest
            memory, and the meter.
        cost: of the student's forward pass; in ``cost.json``, None until that is counted.
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
        """Return one flat mapping, the student's cost among the rest, as JSON can hold it."""
        values = asdict(self)
        cost = values.pop("cost") or {}
        return values | cost


@dataclass(frozen=True, kw_only=True)
class Failure(TrainingCost):
    """``failed.json``: a run that cannot be trained as configured.

    Attributes:
        error: what was said.
        step: steps finished when it failed, None where that is not known.
        config_hash: of its settings.
    """

    error: str
    step: int | None = None
    config_hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pruned(TrainingCost):
    """``pruned.json``: a run that left its cohort early, worse than its like.

    Attributes:
        step: steps finished.
        miou: its last score, a fraction.
        config_hash: of its settings.
    """

    step: int
    miou: float
    config_hash: str


End = Literal["done", "failed", "pruned"]
ENDS: Mapping[str, End] = {RESULT: "done", PRUNED: "pruned", FAILED: "failed"}
"""What a run leaves at its end, and what that says; it is not run again."""


def find_end(run: Path) -> End | None:
    """Return how a run ended, None where it has not and may go on."""
    return next((end for name, end in ENDS.items() if (run / name).exists()), None)


def has_result(run: Path) -> bool:
    """Return whether a folder holds a finished run."""
    return (run / RESULT).is_file()


def find_results(folder: Path, pattern: str = "**") -> list[Path]:
    """Return the folders of all finished runs in a folder, itself included, sorted.

    Args:
        folder: where to look.
        pattern: which sub-folders count, as in ``Path.glob``.
    """
    return sorted(file.parent for file in folder.glob(f"{pattern}/{RESULT}"))


def write_result(run: Path, result: Result) -> None:
    """Write ``result.json``, once, as the last file of training; the cost is a file of its own."""
    values = asdict(result)
    del values["cost"]
    write_tree(run / RESULT, values)
    if result.cost is not None:
        write_cost(run, result.cost)


def remove_result(run: Path) -> None:
    """Delete the result of a run that goes on, and the pictures and page made of it.

    The student stays until the run has another.
    """
    for name in (REPORT, METRICS_PICTURE, CONFUSION_PICTURE, RESULT):
        (run / name).unlink(missing_ok=True)


def read_result(run: Path) -> Result:
    """Read ``result.json``, and ``cost.json`` where it is there.

    Raises:
        RunFolderError: the run is not finished, or a file is broken.
    """
    file = run / RESULT
    if not file.exists():
        raise RunFolderError(
            f"{run}: expected a finished run with {RESULT}, got none; let the run finish, or go on "
            "with --resume"
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
    """Read ``failed.json``; raises :class:`RunFolderError` where it is missing or broken."""
    return read_document(run / FAILED, Failure)


def write_pruned(run: Path, pruned: Pruned) -> None:
    """Write ``pruned.json``: the run is not tried again."""
    write_document(run / PRUNED, pruned)


def read_pruned(run: Path) -> Pruned:
    """Read ``pruned.json``; raises :class:`RunFolderError` where it is missing or broken."""
    return read_document(run / PRUNED, Pruned)
