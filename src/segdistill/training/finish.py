"""The end of a run: weights first, then scores and pictures, and ``result.json`` last.

A run that is killed here or cannot be scored has already saved its student and continues from its
last checkpoint. Files are written atomically, and again with the same contents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
from lightning_fabric import Fabric

from segdistill.data import Stream
from segdistill.data.pictures import write_image, write_mask
from segdistill.memory import peak_memory_mib
from segdistill.runs.confusion import Confusion, ImageCounts, write_confusion, write_image_counts
from segdistill.runs.further import FurtherCounts, write_further
from segdistill.runs.pictures import picture_file
from segdistill.runs.result import Result, write_result
from segdistill.runs.shifts import ShiftScore, name_of_shift, write_shifts
from segdistill.runs.student import student_file
from segdistill.scoring.evaluator import Result as Evaluation
from segdistill.training.active_run import ActiveRun
from segdistill.training.build import Data, save_student
from segdistill.training.energy import EnergyMeter
from segdistill.training.events import Tell
from segdistill.training.extremes import Extremes, Seen
from segdistill.training.score import record_score, score_run
from segdistill.training.score_together import gather
from segdistill.types import Classes, Sample, SegDataset

MOST_COUNTS_MIB = 64  # 101 images with 11 classes take 0.1, 2000 with 150 would take 343


def save_weights(run: ActiveRun, data: Data) -> None:
    """Write the student, which from then on can be scored and exported."""
    save_student(student_file(run.folder), run.learner.result, run.config, data.train.classes)


def finish(run: ActiveRun, data: Data, fabric: Fabric, tell: Tell) -> None:
    """Score a trained learner, all processes together; the first writes what there is to keep."""
    wanted = run.config.evaluation.pictures
    spread = _spread(len(data.evaluation), wanted)
    shown: list[Seen] = []
    extremes = Extremes(wanted // 3, len(data.train.classes))

    def keep(index: int, sample: Sample, prediction: np.ndarray) -> None:
        if index in spread:
            shown.append((sample, prediction.copy()))
        extremes.see(sample, prediction)

    keep_images = counts_mib(data.evaluation) < MOST_COUNTS_MIB
    scored = score_run(run, data, fabric, on_image=keep, keep_images=keep_images, further=True)
    pictures = _pictures(gather((shown, extremes), fabric))
    shifts = _score_shifts(run, data, fabric)
    if not fabric.is_global_zero:
        return
    for sample, prediction in pictures:
        _write_pictures(run, sample, prediction, data.train.classes)
    record_score(run, data, run.config.training.steps, scored, tell, log=_scored_on_the_way(run))
    if scored.image_counts is not None:
        counts = ImageCounts(scored.image_names, np.asarray(scored.image_counts))
        write_image_counts(run.folder, counts)
    rows = tuple(tuple(row) for row in scored.counts.tolist())
    write_confusion(run.folder, Confusion(scored.classes.names, rows))
    if scored.boundary is not None and scored.calibration is not None:
        both, either = scored.boundary.counts()
        pixels, right, confidence = scored.calibration.counts()
        further = FurtherCounts(
            boundary_both=both,
            boundary_either=either,
            pixels=pixels,
            right=right,
            confidence=confidence,
        )
        write_further(run.folder, further)
    if shifts:
        write_shifts(run.folder, shifts)
    write_result(run.folder, _result(run, data, fabric, scored))
    run.log.close()


def _pictures(kept: Sequence[tuple[list[Seen], Extremes]]) -> list[Seen]:
    """Return the pictures to write, of what every process has kept."""
    (shown, extremes), *others = kept
    for more, others_extremes in others:
        shown = [*shown, *more]
        extremes.add(others_extremes)
    return [*shown, *extremes.kept]


def _score_shifts(run: ActiveRun, data: Data, fabric: Fabric) -> dict[str, ShiftScore]:
    """Return the scores on the same images under every corruption in the config."""
    scores = {}
    for name, severities in run.config.evaluation.shifts.items():
        for severity in severities:
            scored = score_run(run, data, fabric, further=True, shift=(name, severity))
            scores[name_of_shift(name, severity)] = ShiftScore(
                miou=scored.scores.miou,
                calibration_error=scored.calibration_error or 0.0,
                boundary_iou=scored.boundary_iou or 0.0,
                counts=tuple(tuple(row) for row in scored.counts.tolist()),
            )
    return scores


def _write_pictures(
    run: ActiveRun, sample: Sample, prediction: np.ndarray, classes: Classes
) -> None:
    if sample.mask is None:
        return
    input_file = picture_file(run.folder, sample.name, "input")
    input_file.parent.mkdir(parents=True, exist_ok=True)
    write_image(input_file, sample.image)
    write_mask(picture_file(run.folder, sample.name, "truth"), sample.mask, classes)
    write_mask(picture_file(run.folder, sample.name, "prediction"), prediction, classes)


def _scored_on_the_way(run: ActiveRun) -> bool:
    return run.config.training.evaluate_every is not None


def _result(run: ActiveRun, data: Data, fabric: Fabric, scored: Evaluation) -> Result:
    config, scores = run.config, scored.scores
    return Result(
        name=run.name,
        method="+".join(term.loss for term in config.distill) or "plain",
        split=config.evaluation.split,
        **asdict(scores),
        calibration_error=scored.calibration_error,
        boundary_iou=scored.boundary_iou,
        images=scored.images,
        pixels=scored.pixels,
        colors=dict(zip(scored.classes.names, scored.classes.colors, strict=True)),
        step=config.training.steps,
        steps=config.training.steps,
        **asdict(run.cost()),
        energy_source=EnergyMeter(fabric.device).source,
        evaluation_seconds=scored.seconds,
        peak_memory_mib=peak_memory_mib(fabric.device),
        best=run.best,
        skipped_images=tuple(sorted(_skipped(data.stream))),
        config_hash=config.hash(),
        seed=config.training.seed,
        data_seed=config.data.seed,
    )


def counts_mib(dataset: SegDataset) -> float:
    """Return the size of the confusion matrices of all images in MiB."""
    return len(dataset) * len(dataset.classes) ** 2 * 8 / 2**20


def _skipped(stream: Stream) -> Iterator[str]:
    yield from stream.skipped.values()
    if stream.unlabelled is not None:
        yield from stream.unlabelled.skipped.values()


def _spread(count: int, wanted: int) -> set[int]:
    """Return indices spread evenly over a dataset."""
    wanted = min(count, wanted)
    return {(2 * index + 1) * count // (2 * wanted) for index in range(wanted)}
