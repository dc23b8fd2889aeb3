"""Whose fault an error is: a method's counts against it, the world's is tried again."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from enum import Enum

import torch

from segdistill.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    RunFolderError,
    TrainingDivergedError,
)


class Fault(Enum):
    """Whose fault an error is."""

    METHOD = "recorded in failed.json: it would come again wherever the run is trained"
    WORLD = "tried again, and in the end left open for --resume"
    SETUP = "stops the study: no other run would fare better"


@dataclass(frozen=True)
class Row:
    """Errors of some kind whose message holds a pattern, or whose number is one of some."""

    kind: type[BaseException]
    fault: Fault
    says: str = ""
    numbers: frozenset[int] = frozenset()

    def fits(self, error: BaseException) -> bool:
        """Return whether an error is one of these."""
        return (
            isinstance(error, self.kind)
            and re.search(self.says, str(error), re.IGNORECASE) is not None
            and (not self.numbers or getattr(error, "errno", None) in self.numbers)
        )


_TRANSIENT = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.EAGAIN,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.EPIPE,
    }
)

FAULTS: tuple[Row, ...] = (
    # What the numbers of a method lead to.
    Row(TrainingDivergedError, Fault.METHOD),
    Row(RuntimeError, Fault.METHOD, says=r"^linalg\."),  # a decomposition of maps that ran away
    # What cannot be trained here, whatever the method.
    Row(ConfigError, Fault.SETUP),
    Row(RunFolderError, Fault.SETUP),
    Row(DataError, Fault.SETUP),
    Row(CheckpointError, Fault.SETUP),
    # Memory, disk, processes, devices and network.
    Row(MemoryError, Fault.WORLD),
    Row(torch.OutOfMemoryError, Fault.WORLD),
    Row(OSError, Fault.WORLD, numbers=_TRANSIENT),
    Row(OSError, Fault.SETUP),  # a file that is not there, a folder that may not be written
    Row(RuntimeError, Fault.WORLD, says=r"DataLoader worker .*(killed|exited|timed out)"),
    Row(RuntimeError, Fault.WORLD, says=r"can.t allocate memory|not enough memory|out of memory"),
    Row(RuntimeError, Fault.WORLD, says=r"no space left on device|too many open files|ancdata"),
    Row(
        RuntimeError,
        Fault.WORLD,
        says=r"\b(CUDA|cuDNN|cuBLAS|NCCL|gloo)\b|connection (closed|reset)",
    ),
    Row(UnicodeError, Fault.SETUP),  # of a file: a ValueError in Python
    # What networks and losses refuse of their settings.
    Row(ValueError, Fault.METHOD),
    # What is not known to be a method's is not counted against it.
    Row(Exception, Fault.WORLD),
)
"""The first row that fits an error says whose fault it is."""


def judge(error: Exception) -> Fault:
    """Return whose fault an error is, by :data:`FAULTS`."""
    return next(row.fault for row in FAULTS if row.fits(error))
