"""Devices by their names in configs and commands."""

from __future__ import annotations

import torch

from segdistill.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return a device by its name in configs and commands.

    Args:
        name: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.

    Raises:
        ConfigError: there is no GPU although one was requested, or the name is unknown.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device: expected auto, cpu or cuda, got '{name}'")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: expected a GPU for cuda, got none; use cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
