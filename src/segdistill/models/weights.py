"""Weights on disk: one safetensors file with the network's config in its metadata."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from segdistill.errors import CheckpointError
from segdistill.files import write_whole

_TORCH_SUFFIXES = (".pt", ".pth", ".bin")
# What torch's unpickler of tensors alone may raise at the bytes of another file.
UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    struct.error,
    AssertionError,
)


def save_network(path: Path | str, network: nn.Module, config: Mapping[str, object]) -> None:
    """Write a network's weights and buffers whole: temporary name, fsync, rename.

    Args:
        path: the file, ``.safetensors`` by custom.
        network: what is saved.
        config: what is needed to build it again; anything that JSON can hold.
    """
    # safetensors refuses channels_last and tied weights, so every tensor gets its own
    # contiguous memory.
    state = {
        name: tensor.detach().cpu().contiguous().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    content = safetensors.torch.save(state, metadata={"config": json.dumps(dict(config))})
    write_whole(Path(path), content)


def load_weights(network: nn.Module, path: Path | str) -> None:
    """Load a file of weights into a network; every tensor has to fit.

    Args:
        network: what is filled.
        path: a safetensors file, or a state dict of torch (``.pt``, ``.pth``, ``.bin``), of
            which tensors only are read: a file that holds code is refused.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is no such file, or its tensors are missing, extra or of other
            shapes than the network's; the message lists them.
    """
    path = Path(path)
    found = _read(path)
    expected = network.state_dict()
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    reshaped = [
        f"{name} {tuple(found[name].shape)} where the network has {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if missing or extra or reshaped:
        parts = [
            f"{label} ({len(names)}): {_some(names)}"
            for label, names in (
                ("missing", missing),
                ("extra", extra),
                ("of another shape", reshaped),
            )
            if names
        ]
        raise CheckpointError(
            f"{path}: expected the weights of this {type(network).__name__}, got a file of "
            f"another network: {'; '.join(parts)}; build the network with the settings that "
            "the file was saved with"
        )
    network.load_state_dict(found)


def read_config(path: Path | str) -> dict[str, Any]:
    """Return the config that :func:`save_network` put into a file.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is no safetensors file or has no config.
    """
    path = _existing(Path(path))
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise _no_weights(path, error) from error
    if "config" not in metadata:
        raise CheckpointError(
            f"{path}: expected a file that segdistill saved, got one without a config in its "
            "metadata; name the network's settings beside the file"
        )
    try:
        config = json.loads(metadata["config"])
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise CheckpointError(
            f"{path}: expected a config in the metadata, got text that is none; use a file that "
            "segdistill saved"
        )
    return config


def tensor_names(path: Path | str) -> list[str]:
    """Return the names of the tensors in a file; see :func:`load_weights` for its kinds."""
    return list(_read(Path(path)))


def _read(path: Path) -> dict[str, Tensor]:
    path = _existing(path)
    if path.suffix in _TORCH_SUFFIXES:
        return _read_torch(path)
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise _no_weights(path, error) from error
    return tensors


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise CheckpointError(
            f"{path}: expected a file of tensors alone, got one that is broken or holds code, "
            "which is never run; save network.state_dict() to a safetensors file"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f"{path}: expected tensors by name, got {type(state).__name__}; save "
            "network.state_dict()"
        )
    return state


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"weights: expected a file at {path}, got none; check the path")
    return path


def _no_weights(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: expected a safetensors file, got one that cannot be read ({error}); it may "
        "be cut off: copy or save it again"
    )


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown}, and {len(names) - most} more" if len(names) > most else shown
