"""The trained student: ``model.safetensors``, with a description of its network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from segdistill.classes import classes_fault
from segdistill.errors import CheckpointError, RunFolderError
from segdistill.files import check_ends, write_whole
from segdistill.json_text import load_json
from segdistill.runs.documents import check_format, check_record
from segdistill.runs.layout import BEST, CHECKPOINTS, FORMAT, STUDENT

if TYPE_CHECKING:
    from torch import nn

_METADATA = "config"


@dataclass(frozen=True)
class Student:
    """The description of a network in its weights file.

    Attributes:
        network: the network's section of a config.
        classes: names of the classes in the order of the logits.
        colors: RGB of each class.
        config_hash: hash of the settings of the run that trained it.
    """

    network: Mapping[str, Any]
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    config_hash: str | None = None


def student_file(run: Path) -> Path:
    """Return the file of a run's student."""
    return run / STUDENT


def best_file(run: Path) -> Path:
    """Return the file of the weights with the best score during training."""
    return run / CHECKPOINTS / BEST


def run_of(file: Path) -> Path:
    """Return the run folder that a weights file is in."""
    return file.parent.parent if file.parent.name == CHECKPOINTS else file.parent


def write_student(file: Path, network: nn.Module, student: Student) -> None:
    """Write weights and buffers of a network, with what is needed to build it again."""
    write_weights(file, network, {"format": FORMAT} | asdict(student))


def write_weights(file: Path, network: nn.Module, config: Mapping[str, object]) -> None:
    """Write weights and buffers of a network atomically: temporary name, fsync, rename.

    Args:
        file: the file, usually ``.safetensors``.
        network: the network to save.
        config: JSON values for the metadata.
    """
    import safetensors.torch
    import torch

    # safetensors refuses channels_last and tied weights, so every tensor gets its own
    # contiguous memory.
    tensors = {
        name: tensor.detach().cpu().contiguous().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    metadata = {_METADATA: json.dumps(dict(config))}
    write_whole(file, safetensors.torch.save(tensors, metadata=metadata))


def read_student(file: Path) -> Student:
    """Read the description of the network in a weights file, without the weights.

    Raises:
        CheckpointError: there is no such file, or it was not written by a run.
        RunFolderError: it is of a later format, or its description is broken.
    """
    if not file.exists():
        raise CheckpointError(
            f"{file}: expected a run's weights, got no such file; check the path, or train the "
            "network first"
        )
    try:
        check_ends(file)
        with safe_open(str(file), framework="np") as opened:
            metadata = opened.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{file}: expected a run's weights, got a file that cannot be read ({error}); it may "
            "be truncated, so copy it again"
        ) from None
    try:
        tree = load_json(metadata.get(_METADATA, ""))
    except ValueError:
        tree = None
    if not isinstance(tree, dict) or not {"network", "classes", "colors"} <= tree.keys():
        raise CheckpointError(
            f"{file}: expected a run's weights, got a file without network and classes in the "
            f"metadata; use the {STUDENT} of a run"
        )
    check_format(file, tree)
    student = check_record(file, Student, tree)
    if fault := classes_fault(student.classes, student.colors):
        raise RunFolderError(f"{file}: {fault} in the metadata; use the {STUDENT} of a run")
    return student
