"""Signals that stop: noted, so that a run ends its step and writes a checkpoint.

Ctrl-C, SIGTERM as schedulers send it to every process of a job, and SIGUSR1, which they send
ahead of a time limit where asked to.
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
    """Turn signals that stop into entries of a list; a second Ctrl-C interrupts at once.

    Launchers and schedulers send SIGTERM several times, which says nothing new.
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
    """Raise KeyboardInterrupt at the first signal that stops, so that every block is left."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")

    with _handled(stop):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    try:
        before = {number: signal.signal(number, handler) for number in SIGNALS}
    except ValueError:  # not in the main thread: whoever owns that one handles signals
        yield
        return
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
