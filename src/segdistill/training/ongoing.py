"""A run on its way: the learner, its folder, and what it has cost so far."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segdistill.config import RunConfig
from segdistill.training.learner import Learner
from segdistill.training.runlog import RunLog


@dataclass
class Spent:
    """What a learner has cost so far.

    Attributes:
        own_seconds: its own steps, and its stage before training.
        batch_seconds: waiting for batches, once for the cohort.
        teacher_seconds: the teacher's forward, once for the cohort.
        prepare_seconds: of ``own_seconds``, the stage before training.
        joules: of the device while it would have trained alone; None without a meter.
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
class Run:
    """One learner on its way, and its folder."""

    config: RunConfig
    folder: Path
    learner: Learner
    log: RunLog
    spent: Spent = field(default_factory=Spent)
    best: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """What training took, or would have taken without the rest of the cohort.

        A student that learns nothing from the teacher is not charged for it.
        """
        spent = self.spent
        teacher = spent.teacher_seconds if self.config.distill else 0.0
        return spent.own_seconds + spent.batch_seconds + teacher

    def cost(self) -> dict[str, float | None]:
        """Return what training took, the energy in the unit that is paid for."""
        spent: dict[str, float | None] = asdict(self.spent)
        joules = spent.pop("joules")
        kwh = None if joules is None else joules / 3.6e6
        return {"seconds": self.seconds, **spent, "energy_kwh": kwh}
