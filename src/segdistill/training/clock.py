"""Seconds of a step, by whom they are spent; on a GPU without waiting for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Mark:
    """A moment in what a device does: on a GPU an event of its queue, else the time of day.

    Args:
        device: whose moment it is.
    """

    def __init__(self, device: torch.device) -> None:
        self._time, self._event = 0.0, None
        if device.type == "cuda":
            self._event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            self._event.record(torch.cuda.current_stream(device))
        else:
            self._time = time.perf_counter()

    def until(self, later: Mark) -> float:
        """Return the seconds until a later mark, which a GPU must have passed."""
        if self._event is None or later._event is None:
            return later._time - self._time
        return float(self._event.elapsed_time(later._event)) / 1e3


class Clock:
    """What of one step is the teacher's, and what each learner's.

    Args:
        device: where the step is taken.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spans: list[tuple[str | None, Mark, Mark]] = []

    @contextmanager
    def of(self, learner: str | None) -> Iterator[None]:
        """Charge a learner, by its name, or the teacher (None) for a block."""
        began = Mark(self._device)
        try:
            yield
        finally:
            self._spans.append((learner, began, Mark(self._device)))

    def seconds(self, learner: str | None) -> float:
        """Return what a learner, or the teacher (None), was charged; a GPU must be past it."""
        return sum(began.until(ended) for name, began, ended in self._spans if name == learner)
