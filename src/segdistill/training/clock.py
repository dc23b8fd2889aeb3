"""Timing of the parts of a step, on a GPU without waiting for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Mark:
    """A point in time: on a GPU an event in its queue, otherwise a reading of the clock.

    Args:
        device: the device.
    """

    def __init__(self, device: torch.device) -> None:
        self._time, self._event = 0.0, None
        if device.type == "cuda":
            self._event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            self._event.record(torch.cuda.current_stream(device))
        else:
            self._time = time.perf_counter()

    def until(self, later: Mark) -> float:
        """Return the seconds until a later mark, which a GPU must have reached."""
        if self._event is None or later._event is None:
            return later._time - self._time
        return float(self._event.elapsed_time(later._event)) / 1e3


class Clock:
    """The seconds of one step spent on the teacher and on each learner.

    Args:
        device: the device that computes the step.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spans: list[tuple[str | None, Mark, Mark]] = []

    @contextmanager
    def of(self, learner: str | None) -> Iterator[None]:
        """Charge the time of a block to a learner, by name, or to the teacher (None)."""
        began = Mark(self._device)
        try:
            yield
        finally:
            self._spans.append((learner, began, Mark(self._device)))

    def seconds(self, learner: str | None) -> float:
        """Return the seconds of a learner or of the teacher (None), once a GPU has finished."""
        return sum(began.until(ended) for name, began, ended in self._spans if name == learner)
