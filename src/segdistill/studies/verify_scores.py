"""Checks of a finished study: scores, images and shifts agree with matrices and logs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.config.mistakes import validate
from segdistill.config.sections import EvaluationConfig
from segdistill.runs.confusion import read_confusion, read_image_counts
from segdistill.runs.further import read_further
from segdistill.runs.metrics import evaluation_lines, read_metrics
from segdistill.runs.shifts import name_of_shift, read_shifts
from segdistill.studies.evidence import Evidence, brief, is_close


def check_scores(evidence: Evidence) -> Iterator[str]:
    """Scores of final runs and trials agree with the confusion matrices."""
    for run, result in evidence.scored.items():
        confusion = read_confusion(run)
        if confusion is None:
            yield f"{evidence.name(run)}: expected a confusion matrix, got none"
            continue
        counts = np.array(confusion.counts, dtype=np.int64)
        again = _scores(counts, confusion.classes)
        given = {key: getattr(result, key) for key in again}
        yield from _told_apart(evidence.name(run), again, given, "the confusion matrix")


def check_further(evidence: Evidence) -> Iterator[str]:
    """Boundary IoU and calibration error agree with their counts."""
    for run, result in evidence.results.items():
        counts = read_further(run)
        given = {"boundary_iou": result.boundary_iou, "calibration_error": result.calibration_error}
        if counts is None:
            for key in (key for key, value in given.items() if value is not None):
                yield f"{evidence.name(run)}: expected the counts behind {key}, got none"
            continue
        boundaries = zip(counts.boundary_both, counts.boundary_either, strict=True)
        known = [both / either for both, either in boundaries if either]
        bins = zip(counts.right, counts.confidence, strict=True)
        again = {
            "boundary_iou": math.fsum(known) / max(1, len(known)),
            "calibration_error": math.fsum(abs(right - sure) for right, sure in bins)
            / max(1, sum(counts.pixels)),
        }
        yield from _told_apart(evidence.name(run), again, given, "its counts")
        for name, own, total in (
            ("labelled pixels", sum(counts.pixels), result.pixels),
            ("right pixels", sum(counts.right), _right(run)),
        ):
            if total is not None and own != total:
                yield f"{evidence.name(run)}: expected {total} {name} in its counts, got {own}"


def _right(run: Path) -> int | None:
    """Return the number of right pixels according to the confusion matrix."""
    confusion = read_confusion(run)
    return None if confusion is None else sum(row[i] for i, row in enumerate(confusion.counts))


def check_images(evidence: Evidence) -> Iterator[str]:
    """The images' matrices add up to that of the split, with the same labels in every run."""
    first: dict[str, np.ndarray] = {}
    classes: tuple[str, ...] | None = None
    for run, result in evidence.scored.items():
        name, confusion, images = evidence.name(run), read_confusion(run), read_image_counts(run)
        if confusion is not None:
            classes = classes or confusion.classes
            if confusion.classes != classes:
                yield f"{name}: expected the classes of the other runs, in their order, got others"
        if images is None:
            yield f"{name}: expected a confusion matrix per image, got none"
            continue
        if len(set(images.names)) < len(images.names):
            yield f"{name}: expected each image once, got one twice"
        if confusion is not None and not np.array_equal(
            images.counts.sum(axis=0), confusion.counts
        ):
            yield f"{name}: expected the images' matrices to add up to the split's, got another sum"
        if result.images is not None and result.images != len(images.names):
            yield f"{name}: expected {result.images} images, got {len(images.names)}"
        if run not in evidence.results:
            continue
        truth = dict(zip(images.names, images.counts.sum(axis=2), strict=True))
        first = first or truth
        if truth.keys() != first.keys():
            yield f"{name}: expected the same images as in the other runs, got others"
        elif any(not np.array_equal(truth[image], first[image]) for image in first):
            yield f"{name}: expected the same labels as in the other runs, got others"


def check_copies(evidence: Evidence) -> Iterator[str]:
    """No two final runs have the same confusion matrix."""
    seen: dict[Any, Path] = {}
    for run in evidence.results:
        confusion = read_confusion(run)
        if confusion is not None:
            other = seen.setdefault(confusion.counts, run)
            if other != run:
                yield (
                    f"{evidence.name(run)}: expected a result of its own, got that of "
                    f"{evidence.name(other)}"
                )


def check_best(evidence: Evidence) -> Iterator[str]:
    """The best score during training was logged."""
    for run, result in evidence.scored.items():
        logged = {line.step: line.miou for line in evaluation_lines(read_metrics(run))}
        if result.best is not None and not logged:
            yield f"{evidence.name(run)}: expected the log of its best score, got none"
        elif result.best is not None:
            top = max(logged.values())
            if not is_close(result.best.miou, top) or not is_close(
                logged.get(result.best.step), top
            ):
                yield (
                    f"{evidence.name(run)}: expected the best score {brief(top)} of its log, got "
                    f"{brief(result.best.miou)}"
                )
        if result.step in logged and not is_close(logged[result.step], result.miou):
            yield f"{evidence.name(run)}: expected the last score of its log, got another"


def check_shifts(evidence: Evidence) -> Iterator[str]:
    """Every shift was scored in every run, on the same labels, and agrees with its matrix."""
    asked = validate(EvaluationConfig, evidence.study.evaluation, "evaluation").shifts
    wanted = {name_of_shift(name, level) for name, levels in asked.items() for level in levels}
    for run in evidence.results:
        scored, confusion = read_shifts(run), read_confusion(run)
        if scored.keys() != wanted:
            yield (
                f"{evidence.name(run)}: expected the shifts {sorted(wanted)}, got {sorted(scored)}"
            )
        for name, score in scored.items():
            counts = np.array(score.counts, dtype=np.int64)
            again = _scores(counts, range(len(counts)))["miou"]
            if not is_close(score.miou, again):
                yield (
                    f"{evidence.name(run)}: expected miou {again:.6g} under {name} from its "
                    f"confusion matrix, got {score.miou:.6g}"
                )
            if confusion is not None and not np.array_equal(
                counts.sum(axis=1), np.array(confusion.counts).sum(axis=1)
            ):
                yield f"{evidence.name(run)}: expected the labels of the split under {name}"


def _scores(counts: np.ndarray, classes: Sequence[Any]) -> dict[str, Any]:
    """Return the scores of a confusion matrix, by their names in a result."""
    hits, truth = np.diagonal(counts).astype(float), counts.sum(axis=1)
    unions = truth + counts.sum(axis=0) - np.diagonal(counts)
    iou = [hit / union if union else None for hit, union in zip(hits, unions, strict=True)]
    known = [value for value in iou if value is not None]
    true = [value or 0.0 for value, count in zip(iou, truth, strict=True) if count]
    return {
        "miou": math.fsum(known) / len(known),
        "miou_ground_truth_classes": math.fsum(true) / len(true),
        "pixel_accuracy": float(hits.sum() / counts.sum()),
        "mean_accuracy": math.fsum(hits[truth > 0] / truth[truth > 0]) / int((truth > 0).sum()),
        "frequency_weighted_iou": math.fsum(
            (value or 0.0) * int(count) for value, count in zip(iou, truth, strict=True)
        )
        / int(truth.sum()),
        "pixels": int(counts.sum()),
        "iou": dict(zip(classes, iou, strict=True)),
        "absent_classes": tuple(
            name for name, value in zip(classes, iou, strict=True) if value is None
        ),
    }


def _told_apart(
    run: str, again: Mapping[str, Any], given: Mapping[str, Any], source: str
) -> Iterator[str]:
    """Yield a sentence for every score that is not what was recomputed."""
    for key, value in again.items():
        if not is_close(given[key], value):
            yield f"{run}: expected {key} {brief(value)} from {source}, got {brief(given[key])}"
