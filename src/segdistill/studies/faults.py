"""Blame: a method's errors count against it, the environment's are retried."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from enum import Enum

import torch

from segdistill.errors import (
    MACHINE_FAILED,
    CheckpointError,
    ConfigError,
    DataError,
    RunFolderError,
    TrainingDivergedError,
    WorkerLostError,
)


class Fault(Enum):
    """Where an error comes from."""

    METHOD = "recorded in failed.json: it would occur again wherever the run is trained"
    WORLD = "retried, and finally left for --resume"
    SETUP = "stops the study, because every other run would fail too"


@dataclass(frozen=True)
class Row:
    """Errors of a type, optionally with a pattern in the message or certain error numbers."""

    kind: type[BaseException]
    fault: Fault
    says: str = ""
    numbers: frozenset[int] = frozenset()

    def fits(self, error: BaseException) -> bool:
        """Return whether an error matches the row."""
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
    # Caused by the values of a method.
    Row(TrainingDivergedError, Fault.METHOD),
    Row(RuntimeError, Fault.METHOD, says=r"^linalg\."),  # a decomposition of diverged maps
    # Nothing can be trained here, whatever the method.
    Row(ConfigError, Fault.SETUP),
    Row(RunFolderError, Fault.SETUP),
    Row(DataError, Fault.SETUP),
    Row(CheckpointError, Fault.SETUP),
    # Memory, disk, processes, devices and network.
    Row(MemoryError, Fault.WORLD),
    Row(torch.OutOfMemoryError, Fault.WORLD),
    Row(OSError, Fault.WORLD, numbers=_TRANSIENT),
    Row(OSError, Fault.SETUP),  # a missing file, a folder that is not writable
    Row(WorkerLostError, Fault.WORLD),
    Row(RuntimeError, Fault.WORLD, says=MACHINE_FAILED),
    Row(UnicodeError, Fault.SETUP),  # in a file; a subclass of ValueError
    # Networks and losses that refuse their settings.
    Row(ValueError, Fault.METHOD),
    # Unknown errors are not counted against the method.
    Row(Exception, Fault.WORLD),
)
"""The first row that matches an error decides."""


def judge(error: Exception) -> Fault:
    """Return where an error comes from according to :data:`FAULTS`."""
    return next(row.fault for row in FAULTS if row.fits(error))
