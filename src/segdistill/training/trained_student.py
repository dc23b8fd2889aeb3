"""A trained student, rebuilt from its weights, optionally with another order of classes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn

from segdistill.classes import (
    ClassMap,
    NamedClassMap,
    compose_class_maps,
    match_classes,
    plain_name,
    resolve_class_map,
)
from segdistill.config.loading import check_saved
from segdistill.errors import CheckpointError
from segdistill.models import build_network
from segdistill.models.build import class_numbers
from segdistill.runs.student import read_student
from segdistill.training.events import Note, Tell, silent
from segdistill.training.finished_run import find_run
from segdistill.types import Classes

_MOST_SHOWN = 30


class TrainedStudent(NamedTuple):
    """A network in evaluation mode, on the CPU, and the classes of its logits."""

    network: nn.Module
    classes: Classes


def load_student(
    run: str | Path,
    *,
    trust: Collection[str] = (),
    data_classes: Classes | None = None,
    class_map: NamedClassMap | None = None,
    tell: Tell = silent,
) -> TrainedStudent:
    """Load a student from its weights file, whose metadata describe how to build it.

    Args:
        run: a run folder, or a safetensors file that a run wrote.
        trust: ``import:`` and ``file:`` targets that config files may name; see
            :mod:`segdistill.trust`.
        data_classes: classes of the data that it is used on. The student's are put into that
            order by name, and a class that it does not know is an error. By default its own
            order is kept.
        class_map: its class for each of ``data_classes``, if their names differ.
        tell: called if that changed the order.

    Raises:
        RunFolderError: there is no finished run.
        ConfigError: the file names code that is not trusted, or settings that do not exist.
        CheckpointError: the weights are broken, no run wrote them, or the dataset has a class
            that the student does not know.
        ValueError: the class map names a class that the student does not have.
    """
    weights = find_run(run).weights
    saved = read_student(weights)
    section = check_saved(saved.network, weights, trust)
    changed: dict[str, object] = {"weights": weights}
    classes = data_classes or Classes(saved.classes, saved.colors)
    if class_map is not None or classes.names != saved.classes:
        chosen = _in_the_datas_order(weights, saved.classes, classes.names, class_map)
        own = class_numbers(section) or tuple(range(len(saved.classes)))
        changed["class_map"] = compose_class_maps(own, chosen)
        tell(Note(f"{weights}: its classes were put into the data's order: {list(chosen)}"))
    network = build_network(
        section.model_copy(update=changed),
        classes=len(classes),
        class_names=classes.names,
        tell=lambda sentence: tell(Note(sentence)),
    )
    return TrainedStudent(network.eval(), classes)


def _in_the_datas_order(
    weights: Path,
    own: Sequence[str],
    data: Sequence[str],
    class_map: NamedClassMap | None,
) -> ClassMap:
    """Return the student's class for each class of the dataset, as given or by name."""
    if class_map is not None:
        return resolve_class_map(class_map, own, data)
    try:
        return match_classes(own, data)
    except ValueError as error:
        if len(data) > _MOST_SHOWN:
            raise CheckpointError(f"{weights}: {error}, with student.class_map=[...]") from None
        known = {plain_name(name): name for name in own}
        entries = json.dumps([known.get(plain_name(name)) for name in data], ensure_ascii=False)
        word = shlex.quote(f"student.class_map={entries}")
        raise CheckpointError(f"{weights}: {error}, as in {word}") from None
