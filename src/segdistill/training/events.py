"""What a run tells while it works; the command line draws it, Python may ignore it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One sentence for the user: something inserted, resumed, skipped or found."""

    text: str


@dataclass(frozen=True)
class Progress:
    """Where a long piece of work stands.

    Attributes:
        stage: what is being done, such as ``"training teacher"``.
        done: units finished.
        total: units in all.
        losses: latest total loss by learner, where the stage has any.
        images_per_second: measured since the last of these, or None.
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
    """Tell nobody."""
