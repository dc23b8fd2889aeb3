"""Environments of their own, for converters whose requirements contradict ours."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from segdistill.errors import ConfigError


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


def convert(who: str, environment: Environment, python: str, script: Path, *words: str) -> str:
    """Run a script that converts a network in an environment, and return what it printed.

    Args:
        who: first word of the messages.
        environment: the environment.
        python: the result of :func:`find_python`.
        script: the script, which imports nothing of this package.
        words: its arguments.

    Raises:
        ConfigError: a package is missing there.
        ValueError: the script failed; the message ends with the last line that it wrote.
    """
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
