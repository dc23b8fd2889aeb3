"""Scoring a run on the way and at its end: the same call, and the best weights kept."""

from __future__ import annotations

from collections.abc import Collection

from lightning_fabric import Fabric

from segdistill.runs.student import best_file
from segdistill.scoring.evaluator import Result
from segdistill.training.active_run import ActiveRun
from segdistill.training.build import Data, save_student
from segdistill.training.events import Evaluated, Tell
from segdistill.training.extremes import Seen
from segdistill.training.score_together import score_together


def score_run(
    run: ActiveRun,
    data: Data,
    fabric: Fabric,
    *,
    shown: Collection[int] = (),
    extremes: int = 0,
    keep_images: bool = False,
) -> tuple[Result, list[Seen]]:
    """Score a learner as its config says; all processes call it, see :func:`score_together`."""
    return score_together(
        run.learner.result,
        data.evaluation,
        run.config.evaluation,
        fabric=fabric,
        precision=run.config.training.precision,
        shown=shown,
        extremes=extremes,
        keep_images=keep_images,
    )


def record_score(
    run: ActiveRun, data: Data, step: int, scored: Result, tell: Tell, *, log: bool = True
) -> None:
    """Tell a score, and keep weights that are better than any before; the first process does.

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
