"""Networks from a compiled file: they can be called and nothing else."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass
from torch.utils._pytree import tree_map

from segdistill.errors import CheckpointError, is_of_machine
from segdistill.models.checkpoints.pickles import UNREADABLE
from segdistill.models.foreign.adaptation import Adaptation
from segdistill.models.foreign.adapter import Adapter

Program = Callable[..., object]
Read = Callable[[Path, torch.device], Program]

_TENSORS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def from_file(
    name: str,
    classes: int,
    adaptation: Adaptation,
) -> Adapter:
    """Return a TorchScript or ``torch.export`` (.pt2) file as a teacher; see :class:`Adapter`.

    Only its logits can be tapped, and it cannot learn.

    Args:
        name: the file.
        classes: number of classes.
        adaptation: how it is fed; without a mean it gets images in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is neither.
    """
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"network file:{name}: expected a file, got none; check the path")
    read = load_program if path.suffix == ".pt2" else _scripted
    try:
        network = Opaque(read(path, torch.device("cpu")), path, read)
    except (*UNREADABLE, OSError, BadZipFile) as error:
        raise CheckpointError(
            f"network file:{name}: expected a TorchScript file or a torch.export file (.pt2), got "
            f"one that cannot be read ({_first_sentence(error)}); a pickled nn.Module is "
            "never loaded: save it with torch.export.save, or name its class with import:"
        ) from error
    return Adapter(network, classes, adaptation)


class Opaque(nn.Module):
    """A loaded program behind the interface of a module, for teachers only.

    It follows the module to another device: its file is read again for that one, since tensors
    and devices inside a program do not move with its parameters. It computes in the precision
    that it was saved in; its answer is float32.

    Args:
        program: from images to whatever it returns.
        path: the file it came from.
        read: reads the file for a device.

    Raises:
        ValueError: in the forward pass, when it is trained or the program does not run.
    """

    def __init__(self, program: Program, path: Path, read: Read) -> None:
        super().__init__()
        # In a tuple, so that the module does not take the program's parts for its own: an
        # exported program cannot be put into evaluation mode, copied or laid out anew.
        self.program = (program,)
        self.path, self.read = path, read
        self.register_buffer("place", torch.empty(0), persistent=False)
        self.dtype = _dtype(program)

    def __deepcopy__(self, memo: dict[int, object]) -> Opaque:
        """Return a module on the same program, which nothing changes."""
        return Opaque(self.program[0], self.path, self.read)._at(self.place).train(self.training)

    def _at(self, place: Tensor) -> Opaque:
        self.place = place
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Opaque:
        before = self.place.device
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.place.device != before:
            self.program = (self.read(self.path, self.place.device),)
        return self

    def forward(self, images: Tensor) -> object:
        if self.training:
            raise ValueError(
                f"{self.path}: expected evaluation mode, got training mode; a network from a "
                "file is a teacher only"
            )
        try:
            # A program contains its own weights, constants here, and may insist on the layout in
            # memory that it was exported with.
            with torch.no_grad():
                return tree_map(_to_float, self.program[0](images.to(self.dtype).contiguous()))
        except (RuntimeError, AssertionError) as error:
            if is_of_machine(error):
                raise
            raise ValueError(
                f"{self.path}: expected a program that takes images {tuple(images.shape)}, got: "
                f"{_last_line(error)}; export it with dynamic batch, height and width"
            ) from error


def _dtype(program: Program) -> torch.dtype:
    """Return the precision of a program's weights, and so of the images that it takes."""
    parameters = program.parameters() if isinstance(program, nn.Module) else ()
    return next((each.dtype for each in parameters if each.is_floating_point()), torch.float32)


def _to_float(value: object) -> object:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value


def load_program(
    path: Path, device: torch.device, extra_files: dict[str, str] | None = None
) -> Program:
    """Load a program of ``torch.export``, which may write files as it is loaded: trust it first.

    Args:
        path: the file.
        device: where it computes.
        extra_files: texts to read from it, by name; filled in where they are there.
    """
    with _tensors_only(), _quiet():
        exported = torch.export.load(path, extra_files=extra_files)
        if device.type != "cpu":
            exported = move_to_device_pass(exported, device)
        program: Program = exported.module()
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch.export.load from logging the traceback of a failure reported in one line."""
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


def _scripted(path: Path, device: torch.device) -> Program:
    program: Program = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    return program


def _first_sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0]


def _last_line(error: Exception) -> str:
    """Return what TorchScript's interpreter says at the end, after its own call stack."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
