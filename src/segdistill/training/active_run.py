"""A run in training: its learner, its folder, and its cost so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segdistill.config import RunConfig
from segdistill.runs.result import Best, TrainingCost
from segdistill.training.learner import Learner
from segdistill.training.runlog import RunLog


@dataclass
class Spent:
    """The cost of a learner so far.

    Attributes:
        own_seconds: time of its own steps and its stage before training.
        batch_seconds: time waiting for batches, spent once for the cohort.
        teacher_seconds: time of the teacher's forward, spent once for the cohort.
        prepare_seconds: the part of ``own_seconds`` that the stage before training took.
        joules: energy that the device would have used to train it alone; None without a meter.
    """

    own_seconds: float = 0.0
    batch_seconds: float = 0.0
    teacher_seconds: float = 0.0
    prepare_seconds: float = 0.0
    joules: float | None = None

    def add_joules(self, joules: float | None) -> None:
        """Add a reading of the meter, if there is one."""
        if joules is not None:
            self.joules = (self.joules or 0.0) + joules


@dataclass
class ActiveRun:
    """One learner in training, and its folder.

    Attributes:
        config: the run's config.
        folder: its run folder.
        learner: the learner.
        log: the log of its metrics.
        spent: its cost so far.
        sums: sum of each part of the loss since the last line of the log.
        steps_since, seconds_since: the cohort's steps and seconds since that line.
    """

    config: RunConfig
    folder: Path
    learner: Learner
    log: RunLog
    spent: Spent = field(default_factory=Spent)
    sums: dict[str, float] = field(default_factory=dict)
    steps_since: int = 0
    seconds_since: float = 0.0

    @property
    def name(self) -> str:
        """Its name in messages and results."""
        return self.learner.name or self.folder.name

    @property
    def best(self) -> Best | None:
        """The best score during training, the first of equals; None if nothing was scored."""
        scores = self.log.evaluations
        if not scores:
            return None
        step = max(scores, key=lambda step: scores[step])
        return Best(step, scores[step])

    @property
    def seconds(self) -> float:
        """The time that training took, or would have taken without the rest of the cohort.

        A plain student is not charged for the teacher.
        """
        spent = self.spent
        teacher = spent.teacher_seconds if self.config.distill else 0.0
        return spent.own_seconds + spent.batch_seconds + teacher

    def cost(self) -> TrainingCost:
        """Return the cost of training, with the energy in kWh."""
        spent = asdict(self.spent)
        joules = spent.pop("joules")
        kwh = None if joules is None else joules / 3.6e6
        return TrainingCost(seconds=self.seconds, **spent, energy_kwh=kwh)

    def state(self) -> dict[str, Any]:
        """Return the part of a checkpoint that describes the run."""
        return {
            "learner": self.learner.state(),
            "spent": asdict(self.spent),
            "since": {
                "sums": dict(self.sums),
                "steps": self.steps_since,
                "seconds": self.seconds_since,
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self.learner.restore(state["learner"])
        self.spent = Spent(**state["spent"])
        if since := state.get("since"):  # older checkpoints have none
            self.sums = dict(since["sums"])
            self.steps_since, self.seconds_since = since["steps"], since["seconds"]
