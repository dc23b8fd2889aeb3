"""The best trial of a method."""

from __future__ import annotations

from collections.abc import Sequence

from segdistill.runs.trials import Trial


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the best of the trials that were trained to the end, the first of equals."""
    done = [trial for trial in trials if trial.status == "done" and trial.miou is not None]
    return max(done, key=lambda trial: (trial.miou or 0.0, -trial.trial), default=None)
