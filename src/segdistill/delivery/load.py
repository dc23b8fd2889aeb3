"""The load of the machine by other programs, from Linux's counters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # columns of a line of /proc/stat: idle, and waiting for a disk
_GUEST = 8  # columns from here on are already included in the first ones


@dataclass
class Others:
    """The processor time of other programs during a block, filled in at its end.

    Attributes:
        share: share of the time of all processors, in [0, 1]; None if unknown.
    """

    share: float | None = None


@contextmanager
def watch_others() -> Iterator[Others]:
    """Measure the share of the processors that other programs use during the block."""
    others = Others()
    before = _times()
    yield others
    after = _times()
    if before is not None and after is not None and after[1] > before[1]:
        busy, total = (now - then for now, then in zip(after, before, strict=True))
        others.share = min(1.0, max(0.0, busy / total))


def _times() -> tuple[float, float] | None:
    """Return the seconds in which processors were used by others, and all seconds."""
    try:
        first = _STAT.read_text(encoding="ascii").splitlines()[0].split()
    except OSError:
        return None
    ticks = [int(value) for value in first[1 : 1 + _GUEST]]
    per_second = os.sysconf("SC_CLK_TCK")
    own = sum(os.times()[:4])
    idle = sum(ticks[column] for column in _IDLE)
    return (sum(ticks) - idle) / per_second - own, sum(ticks) / per_second
