"""The devices and processes of a run, and the machine that it is on."""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from segdistill.config import RunConfig
from segdistill.config.checking import check_precision
from segdistill.errors import ConfigError
from segdistill.runs.environment import Environment
from segdistill.threads import choose_threads

EMULATED = (
    "this processor has no bfloat16 arithmetic and emulates it; training.precision=32-true is "
    "several times faster"
)


def computes_bfloat16() -> bool:
    """Return whether there is a GPU, or a processor with bfloat16 arithmetic of its own.

    Others emulate it, several times slower than float32.
    """
    return torch.cuda.is_available() or bool(torch.cpu._is_avx512_bf16_supported())


def emulates(fabric: Fabric, precision: str) -> bool:
    """Return whether a fabric's processor has to emulate the arithmetic of ``precision``."""
    return fabric.device.type == "cpu" and "bf16" in precision and not computes_bfloat16()


def build_fabric(config: RunConfig) -> Fabric:
    """Return the fabric that a config asks for, launched.

    Raises:
        ConfigError: there is no GPU although one was requested, precision or graphs need one, a
            launcher started another number of processes than configured, or processes cannot be
            started here.
    """
    training = config.training
    _check_launched(training.devices)
    _check_can_begin(training.devices, config.data.workers)
    if training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device: expected a GPU for cuda, got none; use training.device=cpu"
        )
    cuda = training.device != "cpu" and torch.cuda.is_available()
    if not cuda:
        check_precision(training.precision)
        if training.compile == "graphs":
            raise ConfigError(
                "training.compile: expected a GPU for graphs, got none; use off, auto or on"
            )
    torch.set_num_threads(choose_threads(torch.get_num_threads()))
    if cuda and training.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    machines = _machines()
    # Foreign networks have layers that no loss reaches; that is no reason to warn.
    warnings.filterwarnings("ignore", message="find_unused_parameters=True was specified")
    fabric = Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=training.devices // machines,
        num_nodes=machines,
        strategy=DDPStrategy(find_unused_parameters=True) if training.devices > 1 else "auto",
        precision=training.precision,
    )
    fabric.launch()
    return fabric


def _machines() -> int:
    """Return the number of machines on which ``torchrun`` started processes, 1 without it."""
    begun, here = (os.environ.get(name, "1") for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if "LOCAL_WORLD_SIZE" not in os.environ or not (begun.isdigit() and here.isdigit()):
        return 1
    return max(int(begun) // int(here), 1)


def _check_launched(devices: int) -> None:
    """Refuse a number of processes with which each would train a separate run or wait forever."""
    begun = os.environ.get("WORLD_SIZE", "")
    if begun.isdigit() and int(begun) != devices:
        raise ConfigError(
            f"training.devices: expected {begun}, the number of processes that the launcher "
            f"started (WORLD_SIZE), got {devices}; set training.devices={begun}, or start a single "
            "process without a launcher"
        )


def _check_can_begin(devices: int, workers: int) -> None:
    """Refuse processes that would wait forever, or start this program over and over."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if devices > 1 and "LOCAL_RANK" not in os.environ:
        interactive = hasattr(sys, "ps1") or bool(sys.flags.interactive)
        if interactive or file is None or not Path(file).is_file():
            raise ConfigError(
                f"training.devices: expected a script or the command line for {devices} processes, "
                "got a program that other processes cannot start (a notebook, python -c or "
                f"standard input); use segdistill train CONFIG training.devices={devices}"
            )
    method = multiprocessing.get_start_method()
    if workers and method != "fork" and file is not None and not _is_guarded(Path(file)):
        raise ConfigError(
            "data.workers: expected a script with its calls under if __name__ == '__main__':, "
            f"because processes are started by {method} here and import the script again, got none "
            f"in {file}; put them there, or set data.workers=0"
        )


def _is_guarded(file: Path) -> bool:
    """Return whether a script guards its calls by ``__name__``; True if that is unknown."""
    if file.suffix != ".py" or not file.is_file():
        return True
    return (
        re.search(r"__name__\s*==", file.read_text(encoding="utf-8", errors="replace")) is not None
    )


def describe_machine(config_hash: str | None = None) -> Environment:
    """Describe the machine and libraries that produce a result, with the run's config hash."""
    packages = ("segdistill", "torch", "torchvision", "timm", "lightning-fabric", "numpy")
    return Environment(
        config_hash=config_hash,
        python=sys.version.split()[0],
        platform=platform.platform(),
        processor=platform.machine(),
        cpu_count=os.cpu_count(),
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        packages={name: version(name) for name in packages},
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        command=(_program(), *sys.argv[1:]) if sys.argv else (),
    )


def _program() -> str:
    name = Path(sys.argv[0]).name
    return "segdistill" if name == "__main__.py" else name
