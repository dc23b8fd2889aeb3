"""Weights on disk: one safetensors file with the network's config in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from segdistill.errors import CheckpointError
from segdistill.models.checkpoints.locating import weight_file
from segdistill.models.checkpoints.reading import read_metadata, saved_config
from segdistill.runs.student import write_weights


def save_network(path: Path | str, network: nn.Module, config: Mapping[str, object]) -> None:
    """Write a network's weights and buffers whole: temporary name, fsync, rename.

    Args:
        path: the file, ``.safetensors`` by custom.
        network: what is saved.
        config: what is needed to build it again; anything that JSON can hold.
    """
    write_weights(Path(path), network, config)


def read_config(path: Path | str) -> dict[str, Any]:
    """Return the config that :func:`save_network` put into a file.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is no safetensors file or has no config.
    """
    metadata = read_metadata(weight_file(path))
    if "config" not in metadata:
        raise CheckpointError(
            f"{path}: expected a file that segdistill saved, got one without a config in its "
            "metadata; name the network's settings beside the file"
        )
    config = saved_config(metadata)
    if config is None:
        raise CheckpointError(
            f"{path}: expected a config in the metadata, got other text; use a file that "
            "segdistill saved"
        )
    return config
