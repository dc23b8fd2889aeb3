"""Networks from a compiled file: they can be called and nothing else."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from segdistill.classes import ClassMap
from segdistill.errors import CheckpointError
from segdistill.models.checkpoints.pickles import UNREADABLE
from segdistill.models.foreign.adapter import Adapter

_TENSORS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def from_file(
    name: str,
    classes: int,
    output: str | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    divisor: int = 1,
    class_map: ClassMap | None = None,
) -> Adapter:
    """Return a TorchScript or ``torch.export`` (.pt2) file as a teacher; see :class:`Adapter`.

    Only its logits can be tapped, and it cannot learn.

    Args:
        name: the file.
        classes: number of classes.
        output: see :class:`Adapter`.
        mean: see :class:`Adapter`; None gives the network images in [0, 1].
        std: likewise.
        divisor: see :class:`Adapter`.
        class_map: see :class:`Adapter`.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is neither.
    """
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"network file:{name}: expected a file, got none; check the path")
    read: Callable[[Path], Any] = _exported if path.suffix == ".pt2" else _scripted
    try:
        program = read(path)
    except (*UNREADABLE, OSError, BadZipFile) as error:
        raise CheckpointError(
            f"network file:{name}: expected a TorchScript file or a torch.export file (.pt2), got "
            f"one that cannot be read ({_first_sentence(error)}); a pickled nn.Module is "
            "never loaded: save it with torch.export.save, or name its class with import:"
        ) from error
    return Adapter(
        Opaque(program, path),
        classes,
        output=output,
        mean=mean,
        std=std,
        divisor=divisor,
        class_map=class_map,
    )


class Opaque(nn.Module):
    """A loaded program behind the interface of a module, for teachers only.

    Args:
        program: from images to whatever it returns.
        path: the file it came from, for messages.

    Raises:
        ValueError: in the forward pass, when it is trained or the program does not run.
    """

    def __init__(self, program: Callable[..., object], path: Path) -> None:
        super().__init__()
        # In a tuple, so that the module does not take the program's parts for its own: an
        # exported program cannot be put into evaluation mode, copied or laid out anew.
        self.program = (program,)
        self.path = path

    def __deepcopy__(self, memo: dict[int, object]) -> Opaque:
        """Return a module on the same program, which nothing changes."""
        return Opaque(self.program[0], self.path).train(self.training)

    def forward(self, images: Tensor) -> object:
        if self.training:
            raise ValueError(
                f"{self.path}: expected evaluation mode, got training mode; a network from a "
                "file is a teacher only"
            )
        try:
            # A program holds its own weights, constants here, and may insist on the layout in
            # memory that it was exported with.
            with torch.no_grad():
                return self.program[0](images.contiguous())
        except (RuntimeError, AssertionError) as error:
            raise ValueError(
                f"{self.path}: expected a program that takes images {tuple(images.shape)}, got: "
                f"{_last_line(error)}; export it with dynamic batch, height and width"
            ) from error


def _exported(path: Path) -> Callable[..., object]:
    with _tensors_only(), _quiet():
        program: Callable[..., object] = torch.export.load(path).module()
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch.export.load from logging tracebacks of what is refused in one line."""
    log = logging.getLogger("torch.export")
    before, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            # It makes tensors of a buffer that cannot be written, and nobody writes.
            warnings.filterwarnings("ignore", message="The given buffer is not writable")
            yield
    finally:
        log.disabled = before


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Keep torch.export.load from unpickling code, which it falls back to without asking."""
    before = os.environ.get(_TENSORS_ONLY)
    os.environ[_TENSORS_ONLY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TENSORS_ONLY]
        else:
            os.environ[_TENSORS_ONLY] = before


def _scripted(path: Path) -> Callable[..., object]:
    program: Callable[..., object] = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    return program


def _first_sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0]


def _last_line(error: Exception) -> str:
    """Return what TorchScript's interpreter says at the end, after its own call stack."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
