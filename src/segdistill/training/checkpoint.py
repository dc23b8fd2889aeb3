"""Checkpoints: written whole, checked by hash, the last two kept."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from segdistill.errors import CheckpointError
from segdistill.files import write_whole

KEPT = 2
_NAME = re.compile(r"step-(\d{8})\.pt")
_DIGEST_BYTES = 32


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write the state after a step and delete all but the last two checkpoints.

    The file is the SHA-256 of what follows, then the state as torch writes it.

    Args:
        folder: the run's ``checkpoints``; made where it is missing.
        step: steps finished.
        state: tensors and plain values.

    Raises:
        OSError: it could not be written; older checkpoints are untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({"step": step, **state}, buffer)
    content = buffer.getvalue()
    file = folder / f"step-{step:08d}.pt"
    write_whole(file, hashlib.sha256(content).digest() + content)
    for old in checkpoints(folder)[KEPT:]:
        old.unlink()
    return file


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoint files of a folder, newest first."""
    if not folder.is_dir():
        return []
    return sorted((f for f in folder.iterdir() if _NAME.fullmatch(f.name)), reverse=True)


def step_of(file: Path) -> int:
    """Return the step in a checkpoint's name."""
    match = _NAME.fullmatch(file.name)
    if match is None:
        raise CheckpointError(f"{file}: expected a name such as step-00000500.pt")
    return int(match[1])


def load_checkpoint(file: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed.

    Raises:
        CheckpointError: the file is cut short or changed.
    """
    content = file.read_bytes()
    digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError(f"{file}: expected a whole checkpoint, got one that fails its hash")
    state: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    return state
