"""The package's own exceptions, for failures that no built-in exception names."""

import re

MACHINE_FAILED = (
    r"out of memory|can.t allocate memory|not enough memory|no space left on device|"
    r"too many open files|ancdata|connection (closed|reset)|\bgloo\b|\b(CUDA|cuDNN|NCCL) error"
)
"""What torch says in a RuntimeError where memory, a disk, a device or another process failed."""


def is_of_machine(error: Exception) -> bool:
    """Return whether the machine failed, in the middle of code that has done nothing wrong."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and re.search(MACHINE_FAILED, str(error), re.IGNORECASE) is not None
    )


class SegdistillError(Exception):
    """Base of every error that segdistill raises on purpose beside the built-in ones."""


class ConfigError(SegdistillError):
    """A config that cannot be run: unknown key, wrong value, missing part."""


class DataError(SegdistillError):
    """A dataset that cannot be trained on or scored: names every file at fault."""


class LayoutError(DataError):
    """A folder that is not laid out as its dataset is."""


class CheckpointError(SegdistillError):
    """A checkpoint or weight file that is broken or belongs to another network."""


class RunFolderError(SegdistillError):
    """A run folder that already holds another run, or lacks what was asked of it."""


class FileRefusedError(SegdistillError):
    """An exported file that does not do what its network does."""


class OverwriteError(SegdistillError):
    """A file that a command would write over, and that it did not make."""


class WorkerLostError(SegdistillError):
    """A process that loads images died, or reads for too long; the message names its files."""


class TrainingDivergedError(SegdistillError):
    """A loss that is no longer finite; the message names the part.

    Attributes:
        step: steps finished before, None if that is not known.
    """

    def __init__(self, message: str, *, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step
