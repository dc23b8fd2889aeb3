"""Threads beside other programs: how they wait, and how many cores are free to them.

Imports no torch, since what it sets is read when torch is loaded.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_LOAD = Path("/proc/loadavg")
SPINS = "6000"
"""Turns of libgomp's loop before a thread sleeps: 0.15 ms on an AMD EPYC."""


def wait_passively() -> None:
    """Let OpenMP's threads soon sleep while they wait for each other, unless the user chose a way.

    By default they spin for milliseconds, on a core that the thread they wait for may need: beside
    one busy program that makes two threads many times slower than one. Where a core is free for
    each of them they spin for about as long as waking takes, since sleeping at once would cost a
    third of the speed of an idle virtual machine. It has an effect where torch is loaded later, in
    this process or in those that it starts, and none where torch is loaded already.
    """
    if "OMP_WAIT_POLICY" in os.environ:
        return
    os.environ["OMP_WAIT_POLICY"] = "passive"
    if count_free_cores() + _count_running() <= (os.cpu_count() or 1):
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def choose_threads(current: int) -> int:
    """Return how many threads to compute with: no more than cores are free to this process.

    Args:
        current: threads that would be used.

    Returns:
        At most ``current``, and just that where the user has set ``OMP_NUM_THREADS``.
    """
    return current if "OMP_NUM_THREADS" in os.environ else min(current, count_free_cores())


def count_free_cores() -> int:
    """Return how many cores this process may use: its affinity and its containers' quotas."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        cores = os.cpu_count() or 1
    return max(1, min([cores, *_quotas()]))


def _count_running() -> int:
    """Return how many other threads of this machine compute now; where it is not said, one."""
    try:
        return max(0, int(_LOAD.read_text().split()[3].split("/")[0]) - 1)
    except (OSError, ValueError, IndexError):
        return 1


def _quotas() -> list[int]:
    """Return the cores that each group which this process is in may use (cgroup v2)."""
    try:
        lines = _OWN_GROUP.read_text().splitlines()
    except OSError:
        return []
    # The group of version 2 has the number 0 and no controllers: ``0::/path``.
    paths = [Path(line.removeprefix("0::/")) for line in lines if line.startswith("0::/")]
    quotas = []
    for group in {group for path in paths for group in (path, *path.parents)}:
        try:
            quota, period = (_CGROUPS / group / "cpu.max").read_text().split()
        except (OSError, ValueError):  # no limit is set at this level
            continue
        if quota != "max":
            quotas.append(math.ceil(int(quota) / int(period)))
    return quotas
