"""Whose fault an error is: only what a method's own numbers or settings lead to is its failure."""

import errno

import pytest
import torch

from segdistill.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    RunFolderError,
    TrainingDivergedError,
    WorkerLostError,
)
from segdistill.studies.faults import Fault, judge


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (TrainingDivergedError("expected a finite loss, got nan", step=3), Fault.METHOD),
        (ValueError("channelwise_kl: expected temperature > 0"), Fault.METHOD),
        (torch.linalg.LinAlgError("linalg.svd: did not converge"), Fault.METHOD),
        (MemoryError(), Fault.WORLD),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), Fault.WORLD),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), Fault.WORLD),
        (WorkerLostError("DataLoader worker (pid 12) is killed by signal: Killed."), Fault.WORLD),
        (RuntimeError("unable to write to file </torch_1>: No space left on device"), Fault.WORLD),
        (RuntimeError("NCCL error: unhandled system error"), Fault.WORLD),
        (OSError(errno.ENOSPC, "No space left on device"), Fault.WORLD),
        (OSError(errno.EIO, "Input/output error"), Fault.WORLD),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), Fault.WORLD),
        (RuntimeError("something that nobody has seen"), Fault.WORLD),
        (FileNotFoundError(errno.ENOENT, "lost.safetensors"), Fault.SETUP),
        (PermissionError(errno.EACCES, "Permission denied"), Fault.SETUP),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "invalid"), Fault.SETUP),
        (ConfigError("unknown key"), Fault.SETUP),
        (DataError("a.png: cut off"), Fault.SETUP),
        (RunFolderError("another run"), Fault.SETUP),
        (CheckpointError("fails its hash"), Fault.SETUP),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name,
)
def test_each_error_has_its_fault(error: Exception, fault: Fault) -> None:
    assert judge(error) is fault
