"""The measured cost of a study's cohorts: ``measured.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from segdistill.runs.documents import read_pairs, write_tree
from segdistill.runs.layout import MEASURED


@dataclass(frozen=True)
class LearnerCost:
    """The cost of a learner without batch and teacher.

    Attributes:
        seconds: duration of its own step.
        kept_mib: memory that it holds between steps; None if the system does not report it.
        peak_mib: memory during its step, including ``kept_mib`` and the teacher.
        prepare_seconds: duration of its whole stage before training, 0 without one.
        teacher_seconds: duration of its own teacher's forward, None if it has the pair's teacher.
    """

    seconds: float
    kept_mib: float | None
    peak_mib: float | None
    prepare_seconds: float = 0.0
    teacher_seconds: float | None = None


@dataclass(frozen=True)
class CohortCost:
    """The cost of the parts of a cohort, measured over a few steps.

    Attributes:
        batch_seconds: time waiting for a batch.
        teacher_seconds: duration of the teacher's forward, 0 if it is not used.
        learners: cost of each learner, by name.
        free_mib: free memory with teacher and data loaded.
        devices: number of such devices on the machine, each with its own memory.
    """

    batch_seconds: float
    teacher_seconds: float
    learners: Mapping[str, LearnerCost]
    free_mib: float | None
    devices: int = 1

    def alone(self, learner: str, *, distils: bool) -> float:
        """Return the seconds of a step of one learner alone."""
        teacher = self.teaching(learner) if distils else 0.0
        return self.batch_seconds + teacher + self.learners[learner].seconds

    def teaching(self, learner: str) -> float:
        """Return the seconds of the forward of a learner's teacher."""
        own = self.learners[learner].teacher_seconds
        return self.teacher_seconds if own is None else own


def write_measured(study: Path, costs: Mapping[str, CohortCost]) -> None:
    """Write ``measured.json``: the cost of each pair's cohort."""
    write_tree(study / MEASURED, {"pairs": {pair: asdict(cost) for pair, cost in costs.items()}})


def read_measured(study: Path) -> dict[str, CohortCost]:
    """Read ``measured.json``, empty if there is none;
    raises :class:`RunFolderError` if it is broken.
    """
    file = study / MEASURED
    return read_pairs(file, dict[str, CohortCost]) if file.exists() else {}


def remove_measured(study: Path) -> None:
    """Delete ``measured.json``: it was measured for another study."""
    (study / MEASURED).unlink(missing_ok=True)
