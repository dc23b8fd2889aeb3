"""The untrained networks of a config, built without reading weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from segdistill.catalogue.datasets import DATASETS, label_settings
from segdistill.catalogue.networks import ENSEMBLE
from segdistill.catalogue.tables import load
from segdistill.config import DataConfig, NetworkConfig, RunConfig
from segdistill.config.ensembles import networks_of
from segdistill.config.foreign import fetch_nothing
from segdistill.errors import DataError
from segdistill.models import build_network
from segdistill.models.build import class_numbers
from segdistill.training.build import open_split


def untrained(loaded: Mapping[str, RunConfig], **change: object) -> dict[str, nn.Module]:
    """Build the teacher and each distinct student of configs without reading weights.

    Args:
        loaded: configs by learner.
        change: settings of the networks to replace.

    Returns:
        Networks by ``teacher`` and ``student``, or by the learners' names if these differ.
    """
    first = next(iter(loaded.values()))
    classes = _count_classes(first.data, first.evaluation.split)
    return {
        name: build_untrained(section, classes, **change)
        for name, section in sections_of(loaded).items()
    }


def sections_of(loaded: Mapping[str, RunConfig]) -> dict[str, NetworkConfig]:
    """Return the sections of the teacher and of each distinct student, by name."""
    first = next(iter(loaded.values()))
    sections: dict[str, NetworkConfig] = {}
    if first.teacher is not None:
        sections["teacher"] = first.teacher
    if all(config.student == first.student for config in loaded.values()):
        sections["student"] = first.student
    else:
        sections |= {name: config.student for name, config in loaded.items()}
    return sections


def build_untrained(section: NetworkConfig, classes: int, **change: object) -> nn.Module:
    """Build a network from its settings without reading weights.

    Args:
        section: section of a teacher or a student.
        classes: number of classes.
        change: settings to replace.
    """
    return build_network(_unread(section).model_copy(update=change), classes=classes, seed=0)


def _unread(section: NetworkConfig) -> NetworkConfig:
    """Return a section without weights."""
    changed = {
        **fetch_nothing(section.network, section.settings()),
        "weights": None,
        "backbone_weights": None,
        "class_map": class_numbers(section),
    }
    if section.network == ENSEMBLE:
        members = networks_of(section).values()
        changed["members"] = tuple(_unread(member).model_dump(mode="json") for member in members)
    return section.model_copy(update=changed)


def _count_classes(data: DataConfig, split: str) -> int:
    """Return the number of classes from the data, or from the table if the data are missing."""
    try:
        return len(open_split(data, split).classes)
    except DataError:
        row = DATASETS.get(data.dataset)  # None for a user's own code
        if row is None:
            raise
        known = row.classes
        # With merged or ignored labels there are fewer classes than in the table.
        merged = set(label_settings(data.dataset)) - set(data.left_out())
        if not known or merged:
            raise
        return len(load("segdistill.data", known))
