"""Tensors out of torch's pickles: what is no tensor becomes an inert placeholder."""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segdistill.errors import CheckpointError

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
_MOST_NAMES = 200  # of classes and functions in one file; each costs one more reading
_REFUSED = re.compile(r"Unsupported global: GLOBAL (\S+) was not an allowed global")


class Placeholder:
    """Stands for an object whose class or function a file names; it does nothing.

    Attributes:
        state: what the object would have been filled with.
    """

    state: object = None

    def __new__(cls, *_arguments: object) -> Placeholder:
        return super().__new__(cls)

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state


def _new_list(*_arguments: object) -> list[object]:
    return []


def _new_dict(*_arguments: object) -> dict[object, object]:
    return {}


# Only into plain lists and dicts does torch's unpickler put items.
_STAND_INS: dict[str, Callable[..., object]] = {
    "collections.deque": _new_list,
    "collections.defaultdict": _new_dict,
}


def read_pickle(path: Path) -> tuple[object, tuple[str, ...]]:
    """Read a file of ``torch.save`` without running any code that it names.

    It is torch's own reader of tensors alone (``weights_only``). Each class or function that
    this refuses is read as a :class:`Placeholder` instead.

    Args:
        path: zip archive or older file, of any suffix.

    Returns:
        The content, and the names that were refused, the most telling first.

    Raises:
        CheckpointError: it is no such file, or torch refuses it even so.
    """
    stand_ins = {name: _STAND_INS.get(name, Placeholder) for name in _listed(path)}
    while True:
        allowed: Any = [(stand_in, name) for name, stand_in in stand_ins.items()]
        try:
            with torch.serialization.safe_globals(allowed):
                content = torch.load(path, map_location="cpu", weights_only=True)
        except UNREADABLE as error:
            refusal = _REFUSED.search(str(error))
            name = _full_name(refusal.group(1)) if refusal else ""
            if not refusal or name in stand_ins or len(stand_ins) == _MOST_NAMES:
                raise _unreadable(path, sorted(stand_ins, key=_telling), error) from error
            stand_ins[name] = _STAND_INS.get(name, Placeholder)
        else:
            return content, tuple(sorted(stand_ins, key=_telling))


def module_tensors(module: Placeholder) -> dict[str, Tensor]:
    """Return the state dict of a module that was pickled whole; empty if it is none."""
    return dict(_tensors(module, ""))


def _tensors(module: object, prefix: str) -> Iterator[tuple[str, Tensor]]:
    state = module.state if isinstance(module, Placeholder) else None
    if not isinstance(state, Mapping):
        return
    # Not those that the module itself would have left out of its state dict.
    skipped = state.get("_non_persistent_buffers_set") or ()
    for part in ("_parameters", "_buffers"):
        for name, tensor in (state.get(part) or {}).items():
            if isinstance(tensor, Tensor) and name not in skipped:
                yield f"{prefix}{name}", tensor.detach()
    for name, child in (state.get("_modules") or {}).items():
        yield from _tensors(child, f"{prefix}{name}.")


def _listed(path: Path) -> list[str]:
    """Return the names that torch will refuse, without reading a tensor, where it can say so."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (*UNREADABLE, NotImplementedError):
        return []  # of the older format; reading it will name one after the other


def _telling(name: str) -> tuple[bool, str]:
    return name.startswith(("builtins.", "collections.", "numpy.")), name


def _full_name(shown: str) -> str:
    # torch leaves "builtins." out of its message.
    return shown if "." in shown else f"builtins.{shown}"


def _unreadable(path: Path, names: Sequence[str], error: Exception) -> CheckpointError:
    blocked = re.search(r"unsupported GLOBAL (\S+)", str(error))
    code = list(dict.fromkeys([*names, *([blocked.group(1)] if blocked else [])]))
    if code:
        reason = f"one that holds code, which is never run ({', '.join(code[:5])})"
    else:
        reason = "one that is broken, cut off, or of another kind"
    return CheckpointError(
        f"{path}: expected a file of tensors, got {reason}; save network.state_dict() to a "
        "safetensors file"
    )
