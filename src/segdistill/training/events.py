"""Events that a run reports while it works; the command line prints them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One sentence for the user: something inserted, resumed, skipped or found."""

    text: str


@dataclass(frozen=True)
class Progress:
    """The progress of a long piece of work.

    Attributes:
        stage: the work, such as ``"training teacher"``.
        done: number of units finished.
        total: number of units in total.
        losses: latest total loss by learner, if the stage has any.
        images_per_second: throughput since the last such event, or None.
    """

    stage: str
    done: int
    total: int
    losses: Mapping[str, float]
    images_per_second: float | None = None


@dataclass(frozen=True)
class Evaluated:
    """A learner was scored during its run."""

    learner: str
    step: int
    split: str
    miou: float


Event = Note | Progress | Evaluated
Tell = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore the event."""
