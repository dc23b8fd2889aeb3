"""The machine that a run is on: devices and processes, what it is, memory, signals."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric

from segdistill.config import RunConfig
from segdistill.errors import ConfigError


def build_fabric(config: RunConfig) -> Fabric:
    """Return the fabric that a config asks for, launched.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    training = config.training
    if training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device: expected a GPU for cuda, got none; use training.device=cpu"
        )
    cuda = training.device != "cpu" and torch.cuda.is_available()
    if cuda and training.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    fabric = Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=training.devices,
        precision=training.precision,
    )
    fabric.launch()
    return fabric


def _program() -> str:
    name = Path(sys.argv[0]).name
    return "segdistill" if name == "__main__.py" else name


def environment() -> dict[str, Any]:
    """Describe the machine and the libraries that a result came from."""
    packages = ("segdistill", "torch", "torchvision", "timm", "lightning-fabric", "numpy")
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: version(name) for name in packages},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": sys.argv[:1] and [_program(), *sys.argv[1:]],
    }


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Turn the first Ctrl-C or SIGTERM into an entry of a list; a second one interrupts."""
    received: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {number: signal.signal(number, note) for number in signals}
    except ValueError:  # not in the main thread: whoever owns that one handles signals
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
