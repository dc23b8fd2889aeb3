"""Signals that stop a run: recorded, so that it can finish its step and write a checkpoint.

These are Ctrl-C, SIGTERM, which schedulers send to every process of a job, and SIGUSR1, which
they can send ahead of a time limit.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM) + (
    (signal.SIGUSR1,) if hasattr(signal, "SIGUSR1") else ()  # not on Windows
)


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Yield a list that collects stop signals; a second Ctrl-C interrupts at once.

    Repeated SIGTERM is ignored, because launchers and schedulers send it several times.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and signal.SIGINT in received:
            raise KeyboardInterrupt
        received.append(number)

    with _handled(note):
        yield received


@contextmanager
def interrupted_at_once() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first stop signal, so that every block is left cleanly."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")

    with _handled(stop):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    try:
        before = {number: signal.signal(number, handler) for number in SIGNALS}
    except ValueError:  # only the main thread may handle signals
        yield
        return
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
