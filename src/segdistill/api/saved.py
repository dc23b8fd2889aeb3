"""Students that runs wrote, read back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segdistill.api.places import find_run
from segdistill.config import RunConfig
from segdistill.config.loading import check_saved
from segdistill.errors import CheckpointError, ConfigError
from segdistill.models import build_network, read_config
from segdistill.training.build import flat
from segdistill.types import Classes


@dataclass(frozen=True)
class Student:
    """A trained network in eval mode, and what it predicts."""

    network: nn.Module
    classes: Classes


@dataclass(frozen=True)
class LoadedRun:
    """A run folder, read: its config, its student in eval mode, and what that predicts."""

    config: RunConfig
    network: nn.Module
    classes: Classes


def load_student(run: str | Path, *, trust: Collection[str] = ()) -> Student:
    """Read a student from its weights alone, which say how it is built.

    Args:
        run: a run folder, or a safetensors file that a run wrote.
        trust: ``import:`` targets that the file may name; see :mod:`segdistill.trust`.

    Raises:
        RunFolderError: there is no finished run.
        CheckpointError: the file is broken, or no run wrote it.
        ConfigError: the file names code that is not trusted, or settings that do not exist.
    """
    weights = find_run(run).weights
    saved = read_config(weights)
    if not {"network", "classes", "colors"} <= saved.keys():
        raise CheckpointError(
            f"{weights}: expected the weights that a run writes, got a file without its network "
            "and classes in the metadata; use the model.safetensors of a run"
        )
    section = check_saved(saved["network"], weights, trust)
    classes = _classes(saved, weights)
    settings = flat(section) | {"weights": weights}
    network = build_network(settings, classes=len(classes))
    return Student(network.eval(), classes)


def _classes(saved: Mapping[str, Any], weights: Path) -> Classes:
    """Return the classes that a file's metadata describe, after checking their form."""
    names, colors = saved["classes"], saved["colors"]
    listed = isinstance(names, list) and isinstance(colors, list)
    if not (
        listed
        and 0 < len(names) == len(colors) <= 256
        and all(isinstance(name, str) for name in names)
        and all(_is_color(color) for color in colors)
    ):
        raise CheckpointError(
            f"{weights}: expected names of classes, each with a colour of three numbers, in the "
            "metadata, got something else; use the model.safetensors of a run"
        )
    return Classes(tuple(names), tuple((r, g, b) for r, g, b in colors))


def _is_color(color: object) -> bool:
    parts = color if isinstance(color, list) else []
    return len(parts) == 3 and all(isinstance(p, int) and 0 <= p <= 255 for p in parts)


def load_run(
    run: str | Path, *, overrides: Sequence[str] = (), trust: Collection[str] = ()
) -> LoadedRun:
    """Read the config and the student of a run.

    Args:
        run: a run folder, or a safetensors file in it.
        overrides: ``a.b=value`` words on its config; the student's settings are fixed.
        trust: see :func:`load_student`.

    Raises:
        RunFolderError: there is no finished run.
        ConfigError: an override cannot be applied.
        CheckpointError: the weights are broken.
    """
    config = find_run(run).config(overrides)
    student = load_student(run, trust=trust)
    return LoadedRun(config, student.network, student.classes)


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
