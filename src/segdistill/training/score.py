"""Scoring a run on the way and at its end: the same call, and the best weights kept."""

from __future__ import annotations

from lightning_fabric import Fabric

from segdistill.data.shifts import Shifted
from segdistill.runs.student import best_file
from segdistill.scoring.evaluator import OnImage, Result, evaluate
from segdistill.training.active_run import ActiveRun
from segdistill.training.build import Data, save_student
from segdistill.training.events import Evaluated, Tell


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
    """Score a learner as its config says.

    Args:
        run: the learner.
        data: with what it is scored on.
        fabric: its device.
        on_image: see :func:`evaluate`.
        keep_images: see :func:`evaluate`.
        further: see :func:`evaluate`.
        shift: corruption and severity that the images are seen under.
    """
    settings = run.config.evaluation
    return evaluate(
        run.learner.result,
        data.evaluation if shift is None else Shifted(data.evaluation, *shift),
        device=fabric.device,
        precision=run.config.training.precision,
        scales=settings.scales,
        flip=settings.flip,
        window=settings.window,
        on_image=on_image,
        keep_images=keep_images,
        further=further,
    )


def record_score(
    run: ActiveRun, data: Data, step: int, scored: Result, tell: Tell, *, log: bool = True
) -> None:
    """Tell a score, and keep weights that are better than any before.

    The weights are written before the line of the log: a run that is killed in between scores
    again, and no line speaks of weights that are not there.

    Args:
        run: the run.
        data: whose classes the weights carry.
        step: steps finished.
        scored: what was found.
        tell: called with the score.
        log: whether the score is one on the way: a line of the log and perhaps the best.
    """
    split, scores = run.config.evaluation.split, scored.scores
    if log:
        if run.best is None or scores.miou > run.best.miou:
            file = best_file(run.folder)
            save_student(file, run.learner.result, run.config, data.train.classes)
        run.log.evaluation(step, split, miou=scores.miou, pixel_accuracy=scores.pixel_accuracy)
    tell(Evaluated(run.learner.name, step, split, scores.miou))
