"""Scoring a run during training and at its end, and keeping the best weights."""

from __future__ import annotations

import numpy as np
from lightning_fabric import Fabric

from segdistill.data.carving import Subset
from segdistill.data.shifts import Shifted
from segdistill.runs.student import best_file
from segdistill.scoring.evaluator import OnImage, Result, evaluate
from segdistill.training.active_run import ActiveRun
from segdistill.training.build import Data, save_student
from segdistill.training.events import Evaluated, Tell
from segdistill.training.score_together import score_together
from segdistill.types import Sample


def score_run(
    run: ActiveRun,
    data: Data,
    fabric: Fabric,
    *,
    on_image: OnImage | None = None,
    keep_images: bool = False,
    further: bool = False,
    shift: tuple[str, int] | None = None,
) -> Result:
    """Score a learner as its config says; all processes call it, each scores a share of the images.

    Args:
        run: the learner.
        data: the data, including the split to score.
        fabric: its device and processes.
        on_image: see :func:`evaluate`; called in the process that scores the image.
        keep_images: see :func:`evaluate`.
        further: see :func:`evaluate`.
        shift: corruption of the images and its severity.

    Returns:
        The joint result, the same in every process.
    """
    settings = run.config.evaluation
    dataset = data.evaluation if shift is None else Shifted(data.evaluation, *shift)

    def score(own: range) -> Result:
        def seen(index: int, sample: Sample, prediction: np.ndarray) -> None:
            if on_image is not None:
                on_image(own[index], sample, prediction)

        return evaluate(
            run.learner.result,
            Subset(dataset, own),
            device=fabric.device,
            precision=run.config.training.precision,
            scales=settings.scales,
            flip=settings.flip,
            window=settings.window,
            on_image=None if on_image is None else seen,
            keep_images=keep_images,
            further=further,
        )

    return score_together(score, run.learner.result, len(dataset), fabric)


def record_score(
    run: ActiveRun, data: Data, step: int, scored: Result, tell: Tell, *, log: bool = True
) -> None:
    """Report a score, and keep the weights if it is the best so far.

    The weights are written before the log line: a run that is killed in between scores again,
    and no line refers to weights that do not exist.

    Args:
        run: the run.
        data: data whose classes are saved with the weights.
        step: steps finished.
        scored: the result of scoring.
        tell: called with the score.
        log: whether this is a score during training, which is logged and may be the best.
    """
    split, scores = run.config.evaluation.split, scored.scores
    if log:
        if run.best is None or scores.miou > run.best.miou:
            file = best_file(run.folder)
            save_student(file, run.learner.result, run.config, data.train.classes)
        run.log.evaluation(step, split, miou=scores.miou, pixel_accuracy=scores.pixel_accuracy)
    tell(Evaluated(run.learner.name, step, split, scores.miou))
