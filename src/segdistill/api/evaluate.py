"""Evaluate: the scores of a trained student on a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segdistill.scoring.evaluator import Result
from segdistill.scoring.evaluator import evaluate as evaluate_network
from segdistill.training.build import open_split
from segdistill.training.events import Progress, Tell, silent
from segdistill.training.finished_run import CheckedRun, check_run
from segdistill.training.pick_device import pick_device
from segdistill.training.trained_student import load_student
from segdistill.types import Sample


def evaluate(
    run: str | Path | CheckedRun,
    *,
    split: str | None = None,
    scales: Sequence[float] | None = None,
    flip: bool | None = None,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    tell: Tell = silent,
) -> Result:
    """Score the student of a run.

    Classes are matched by name, so their order in the dataset does not matter. A dataset with a
    class that the student does not know is refused, unless the override
    ``student.class_map=[car, null, sky]`` gives the student's class for each of its classes.

    Example::

        segdistill.evaluate("runs/student-1", split="test").miou

    Args:
        run: a run folder, a safetensors file in it, such as that in ``checkpoints/best``, or a
            result of ``training.finished_run.check_run``.
        split: split of the run's dataset; by default the one it was scored on.
        scales: scales to average over; by default the run's own.
        flip: whether to average with the mirrored image; by default as for the run.
        overrides: overrides ``a.b=value`` of the run's config, such as ``data.root=…``.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        tell: called with progress.

    Raises:
        RunFolderError: the folder contains no finished run.
        ConfigError, DataError: problems with the overrides or the data.
        CheckpointError: the student does not know a class of the dataset.
    """
    checked = check_run(run, overrides, trust)
    config, settings = checked.config, checked.config.evaluation
    dataset = open_split(config.data, split or settings.split)
    network = load_student(
        checked.files.weights,
        trust=checked.trust,
        data_classes=dataset.classes,
        class_map=checked.class_map,
        tell=tell,
    ).network

    def count(index: int, _sample: Sample, _prediction: np.ndarray) -> None:
        tell(Progress("scoring", index + 1, len(dataset), {}))

    return evaluate_network(
        network,
        dataset,
        device=pick_device(config.training.device),
        precision=config.training.precision,
        scales=settings.scales if scales is None else tuple(scales),
        flip=settings.flip if flip is None else flip,
        window=settings.window,
        on_image=count,
    )
