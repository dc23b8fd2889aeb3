"""Students that runs wrote, read back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from segdistill.api.places import CheckedRun, check_run, find_run
from segdistill.classes import match_classes
from segdistill.config import RunConfig
from segdistill.config.loading import check_saved
from segdistill.errors import CheckpointError, ConfigError
from segdistill.models import build_network
from segdistill.runs.student import read_student
from segdistill.training.events import Note, Tell, silent
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


def load_student(
    run: str | Path,
    *,
    trust: Collection[str] = (),
    data_classes: Classes | None = None,
    tell: Tell = silent,
) -> Student:
    """Read a student from its weights alone, which say how it is built.

    Args:
        run: a run folder, or a safetensors file that a run wrote.
        trust: ``import:`` targets that the file may name; see :mod:`segdistill.trust`.
        data_classes: those of data that it is used on: by name, its own are put into their
            order. By default it keeps its own.
        tell: hears when that changed the order.

    Raises:
        RunFolderError: there is no finished run.
        CheckpointError: the file is broken, no run wrote it, or a class of the data is none of
            its own.
        ConfigError: the file names code that is not trusted, or settings that do not exist.
    """
    weights = find_run(run).weights
    saved = read_student(weights)
    section = check_saved(saved.network, weights, trust)
    changed: dict[str, object] = {"weights": weights}
    classes = data_classes or Classes(saved.classes, saved.colors)
    if classes.names != saved.classes:
        try:
            order = match_classes(saved.classes, classes.names)
        except ValueError as error:
            raise CheckpointError(f"{weights}: {error}") from None
        own = section.class_map or range(len(saved.classes))
        changed["class_map"] = tuple(own[place] for place in order)
        tell(Note(f"{weights}: its classes were put into the data's order: {list(order)}"))
    network = build_network(
        section.model_copy(update=changed),
        classes=len(classes),
        class_names=classes.names,
        tell=lambda sentence: tell(Note(sentence)),
    )
    return Student(network.eval(), classes)


def load_run(
    run: str | Path | CheckedRun, *, overrides: Sequence[str] = (), trust: Collection[str] = ()
) -> LoadedRun:
    """Read the config and the student of a run.

    Args:
        run: a run folder, a safetensors file in it, or what ``places.check_run`` returned.
        overrides: ``a.b=value`` words on its config; the student's settings are fixed.
        trust: see :func:`load_student`.

    Raises:
        RunFolderError: there is no finished run.
        ConfigError: an override cannot be applied.
        CheckpointError: the weights are broken.
    """
    checked = check_run(run, overrides, trust)
    student = load_student(checked.files.weights, trust=checked.trust)
    return LoadedRun(checked.config, student.network, student.classes)


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
