"""Environments of their own, for converters whose requirements contradict ours."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from segdistill.delivery.contract import Contract
from segdistill.delivery.pt2 import write_pt2
from segdistill.errors import ConfigError
from segdistill.files import temporary_folder, write_whole


@dataclass(frozen=True)
class Environment:
    """A Python with packages that ours should not have.

    Attributes:
        variable: environment variable that names this Python.
        package: the package it is asked for, as pip knows it.
        module: the package as Python imports it.
        install: what pip is to install there.
    """

    variable: str
    package: str
    module: str
    install: str

    @property
    def advice(self) -> str:
        """The commands that make the environment."""
        folder = self.package.partition("-")[0]
        return (
            f"python -m venv {folder} && {folder}/bin/pip install {self.install}, then "
            f"export {self.variable}=$PWD/{folder}/bin/python"
        )


def find_python(who: str, environment: Environment) -> str:
    """Return the Python of an environment: the one that its variable names, or this one.

    Args:
        who: first word of the message.
        environment: the environment.

    Raises:
        ConfigError: its variable names no Python, and its package is not installed here either.
    """
    given = os.environ.get(environment.variable)
    if given is None and importlib.util.find_spec(environment.module) is not None:
        return sys.executable
    if given is None or not os.access(given, os.X_OK) or os.path.isdir(given):
        got = "none" if given is None else repr(given)
        raise ConfigError(
            f"{who}: expected {environment.variable} to name a Python with {environment.package}, "
            f"which needs an environment of its own, got {got}; {environment.advice}"
        )
    return given


def convert(
    who: str,
    environment: Environment,
    script: Path,
    network: nn.Module,
    path: Path,
    size: tuple[int, int],
    contract: Contract,
    calibration: np.ndarray | None = None,
) -> str:
    """Write a file that a script makes in an environment, and return what the script printed.

    The script gets a program of torch.export, the file to write and, if there are any, a file of
    calibration images. It imports nothing of this package.

    Args:
        who: first word of the messages.
        environment: the environment.
        script: the script.
        network: see :func:`segdistill.delivery.onnx.export_onnx`, as for the others.
        path: the file.
        size: height and width of the only images that the file takes.
        contract: inputs and outputs of the graph.
        calibration: images ``(N, 1, 3, *size)`` in the input format of the contract.

    Raises:
        ConfigError: there is no such Python, or a package is missing there.
        ValueError: torch cannot export the network, or the script failed; the message ends with
            the last line that it wrote.
    """
    python = find_python(who, environment)
    with temporary_folder(path) as folder:
        program, file = folder / "program.pt2", folder / "file"
        write_pt2(network, program, size, replace(contract, size=size))
        words = [str(program), str(file)]
        if calibration is not None:
            words.append(str(folder / "calibration.npy"))
            np.save(words[-1], calibration)
        printed = _run(who, environment, python, script, words)
        write_whole(path, file.read_bytes())
    return printed


def _run(who: str, environment: Environment, python: str, script: Path, words: list[str]) -> str:
    command = [python, "-I", str(script), *words]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if ended.returncode:
        last = (ended.stderr.strip() or ended.stdout.strip() or "nothing").splitlines()[-1]
        if last.startswith(("ImportError", "ModuleNotFoundError")):
            raise ConfigError(
                f"{who}: expected {environment.package} in {python}, got: {last}; "
                f"{environment.advice}"
            )
        raise ValueError(
            f"{who}: expected a network that {environment.package} can convert, got: {last}"
        )
    return ended.stdout
