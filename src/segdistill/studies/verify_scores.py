"""Checks of a finished study: scores, images and shifts agree with matrices and logs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.config.mistakes import validate
from segdistill.config.sections import EvaluationConfig
from segdistill.runs.confusion import read_confusion, read_image_counts
from segdistill.runs.metrics import evaluation_lines, read_metrics
from segdistill.runs.shifts import name_of_shift, read_shifts
from segdistill.studies.evidence import Evidence, brief, is_close


def check_scores(evidence: Evidence) -> Iterator[str]:
    """Scores agree with the confusion matrices."""
    for run, result in evidence.results.items():
        confusion = read_confusion(run)
        if confusion is None:
            yield f"{evidence.name(run)}: expected a confusion matrix, got none"
            continue
        counts = np.array(confusion.counts, dtype=np.int64)
        again = _scores(counts, confusion.classes)
        for key, value in again.items():
            if not is_close(getattr(result, key), value):
                yield (
                    f"{evidence.name(run)}: expected {key} {brief(value)} from the confusion "
                    f"matrix, got {brief(getattr(result, key))}"
                )


def check_images(evidence: Evidence) -> Iterator[str]:
    """The images' matrices add up to that of the split, with the same labels in every run."""
    first: dict[str, np.ndarray] = {}
    for run, result in evidence.results.items():
        name, confusion, images = evidence.name(run), read_confusion(run), read_image_counts(run)
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
    for run, result in evidence.results.items():
        logged = {line.step: line.miou for line in evaluation_lines(read_metrics(run))}
        if result.best is not None and logged:
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
        "pixels": int(counts.sum()),
        "iou": dict(zip(classes, iou, strict=True)),
    }
