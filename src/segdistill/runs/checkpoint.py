"""Checkpoints: written atomically and checked by hash; the last two are kept."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdistill.errors import CheckpointError
from segdistill.files import check_ends, write_whole
from segdistill.runs.documents import check_format
from segdistill.runs.layout import CHECKPOINTS, FORMAT

KEPT = 2
_NAME = re.compile(r"step-(\d{8})\.pt")
_DIGEST_BYTES = 32


def save_checkpoint(run: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write the state after a step, and delete all but the last two checkpoints.

    Args:
        run: the run folder.
        step: number of steps finished.
        state: tensors and plain values.

    Raises:
        OSError: it could not be written; older checkpoints are kept.
    """
    file = checkpoint_file(run, step)
    write_state(file, {"step": step, **state})
    keep_checkpoints(run, KEPT)
    return file


def write_state(file: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values behind the SHA-256 of what follows, with the format."""
    import torch

    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    content = buffer.getvalue()
    write_whole(file, hashlib.sha256(content).digest() + content)


def checkpoint_file(run: Path, step: int) -> Path:
    """Return the file of the checkpoint after a step."""
    return run / CHECKPOINTS / f"step-{step:08d}.pt"


def find_checkpoints(run: Path) -> dict[int, Path]:
    """Return the checkpoints of a run by step, newest first."""
    folder = run / CHECKPOINTS
    if not folder.is_dir():
        return {}
    steps = {
        int(match[1]): file
        for file in folder.iterdir()
        if (match := _NAME.fullmatch(file.name)) is not None
    }
    return dict(sorted(steps.items(), reverse=True))


def keep_checkpoints(run: Path, count: int) -> None:
    """Delete all but the newest checkpoints."""
    for old in list(find_checkpoints(run).values())[count:]:
        old.unlink()


def load_checkpoint(file: Path) -> dict[str, Any]:
    """Read a checkpoint; see :func:`read_state`."""
    return read_state(file, "checkpoint")


def read_state(file: Path, what: str) -> dict[str, Any]:
    """Read what :func:`write_state` wrote, without executing code from it.

    Args:
        file: the file.
        what: what it is, for messages.

    Raises:
        CheckpointError: the file is truncated or has been changed.
        RunFolderError: it is of a later format.
    """
    import torch

    try:
        check_ends(file)
        content = file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{file}: expected a {what}, got {error}") from None
    digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError(f"{file}: expected an intact {what}, got one with a wrong hash")
    try:
        state: Any = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise CheckpointError(
            f"{file}: expected a {what} of tensors and plain values, got one with other "
            f"objects, or broken ({type(error).__name__})"
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{file}: expected a {what}, got {type(state).__name__}")
    check_format(file, state)
    return state
