"""Progress on stderr: bars on a terminal, otherwise a plain line at intervals."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from segdistill.runs.lock import is_first_process
from segdistill.training.events import Evaluated, Event, Note, Progress, Tell, silent

PLAIN_INTERVAL_S = 10.0


@contextmanager
def display() -> Iterator[Tell]:
    """Yield a function that shows events, and clean up the terminal afterwards."""
    # Fabric would announce what the config already says.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if not is_first_process():
        yield silent
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainLines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Bars(*columns, console=console) as bars:
        yield _TerminalBars(bars)


class _TerminalBars:
    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}
        self.done: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Progress):
            self.bars.console.print(describe(event), highlight=False, markup=False)
            return
        if event.stage not in self.tasks:
            self.tasks[event.stage] = self.bars.add_task(
                event.stage, total=event.total, rate="", losses=""
            )
        elif event.done < self.done[event.stage]:  # a study repeats stages
            self.bars.reset(self.tasks[event.stage])
        self.done[event.stage] = event.done
        self.bars.update(
            self.tasks[event.stage],
            completed=event.done,
            total=event.total,
            rate=_rate(event),
            losses=_losses(event),
        )


class _PlainLines:
    def __init__(self) -> None:
        self.last = 0.0
        self.began: dict[str, tuple[float, int]] = {}

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Progress):
            began, done = self.began.setdefault(event.stage, (now, event.done))
            if event.done >= event.total:  # a study repeats stages
                del self.began[event.stage]
            if now - self.last < PLAIN_INTERVAL_S and event.done < event.total:
                return
            self.last = now
            left = ""
            if event.done > done:
                seconds = (now - began) / (event.done - done) * (event.total - event.done)
                left = f"  {_minutes(seconds)} left"
            line = (
                f"{event.stage}: {event.done}/{event.total}  {_rate(event)}{left}  {_losses(event)}"
            )
        else:
            line = describe(event)
        print(line.rstrip(), file=sys.stderr, flush=True)


def describe(event: Note | Evaluated) -> str:
    """Describe an event."""
    if isinstance(event, Note):
        return event.text
    name = f"{event.learner}: " if event.learner else ""
    return f"{name}step {event.step}: {event.split} mIoU {100 * event.miou:.2f} %"


def _rate(event: Progress) -> str:
    return "" if event.images_per_second is None else f"{event.images_per_second:.1f} images/s"


def _losses(event: Progress) -> str:
    parts = [f"{name or 'loss'} {loss:.3f}" for name, loss in event.losses.items()]
    return "  ".join(parts)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
