"""Devices by the words that configs and commands use for them."""

from __future__ import annotations

import torch

from segdistill.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return the device of a config's or command's word.

    Args:
        name: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.

    Raises:
        ConfigError: a GPU was asked for and there is none, or the word is another.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device: expected auto, cpu or cuda, got '{name}'")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: expected a GPU for cuda, got none; use cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
