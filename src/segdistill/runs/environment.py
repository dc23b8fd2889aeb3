"""The machine and the libraries of a run: ``environment.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segdistill.runs.documents import read_document, write_document
from segdistill.runs.layout import ENVIRONMENT


@dataclass(frozen=True, kw_only=True)
class Environment:
    """``environment.json``.

    Attributes:
        config_hash: hash of the run's settings, which identifies the run.
        python, platform, processor: versions and names on the machine.
        cpu_count, threads: numbers of cores and of torch threads.
        gpu: its name, or None.
        packages: versions by name.
        started: start time, UTC, ISO 8601.
        command: the command line.
    """

    config_hash: str | None = None
    python: str | None = None
    platform: str | None = None
    processor: str | None = None
    cpu_count: int | None = None
    threads: int | None = None
    gpu: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    started: str | None = None
    command: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"command": list(self.command)}


def write_environment(run: Path, environment: Environment) -> None:
    """Write ``environment.json``."""
    write_document(run / ENVIRONMENT, environment)


def read_environment(run: Path) -> Environment:
    """Read ``environment.json``; an empty record if it does not exist.

    Raises:
        RunFolderError: it is broken.
    """
    file = run / ENVIRONMENT
    return read_document(file, Environment) if file.exists() else Environment()
