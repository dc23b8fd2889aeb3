"""pt2: a program of torch.export, for PyTorch without this package, and for its compilers."""

from __future__ import annotations

import io
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from segdistill.delivery.contract import KEY, Contract
from segdistill.delivery.opened import Run, RuntimeRefusalError, in_one_line
from segdistill.delivery.program import Program, example
from segdistill.files import write_whole
from segdistill.models.checkpoints.pickles import UNREADABLE
from segdistill.models.foreign.program import load_program
from segdistill.network_state import device_of, evaluating


def write_pt2(network: nn.Module, path: Path, size: tuple[int, int], contract: Contract) -> None:
    """Write a network as a program of ``torch.export``, with its contract among the extra files.

    Args:
        network: a network that returns ``SegOutput``; its mode is restored.
        path: the file; it is written whole.
        size: height and width of the image that it is traced with.
        contract: what the program takes and gives.

    Raises:
        ValueError: torch cannot export the network.
    """
    static = contract.size is not None
    # A batch of 1 would be taken for a constant where it may not be.
    traced = example(size, images=contract.images, batch=1 if static else 2)
    free = None if static else ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    with evaluating(network), torch.no_grad():
        program = Program(network, images=contract.images, output=contract.output).eval()
        try:
            exported = torch.export.export(
                program,
                (traced.to(device_of(network)),),
                dynamic_shapes=free,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
        except (torch._dynamo.exc.TorchDynamoException, RuntimeError, ValueError) as error:
            answer = "" if static else "; a fixed size (static) asks less of it"
            raise ValueError(
                "write_pt2: expected a network that torch can export, got: "
                f"{in_one_line(error)}{answer}"
            ) from error
    buffer = io.BytesIO()
    torch.export.save(exported, buffer, extra_files={KEY: contract.as_text()})
    write_whole(path, buffer.getvalue())


def open_pt2(path: Path, threads: int = 0) -> tuple[Run, str | None]:
    """Open a program of ``torch.export`` on the CPU, which may run code: trust it first.

    Args:
        path: the file.
        threads: that it computes with, 0 for those of torch.

    Returns:
        What runs it, and the contract among its extra files, None where there is none.

    Raises:
        RuntimeRefusalError: torch cannot read it.
    """
    extra = {KEY: ""}
    try:
        program = load_program(path, torch.device("cpu"), extra)
    except (*UNREADABLE, OSError, BadZipFile) as error:
        raise RuntimeRefusalError(
            f"{path}: expected a file that torch.export reads, got: {in_one_line(error)}"
        ) from None

    def run(images: np.ndarray) -> np.ndarray:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            with torch.no_grad():
                output = program(torch.from_numpy(images))
        except (RuntimeError, AssertionError) as error:
            raise RuntimeRefusalError(f"torch: {in_one_line(error)}") from None
        finally:
            torch.set_num_threads(before)
        if not isinstance(output, Tensor):
            raise RuntimeRefusalError(
                f"torch: expected a program that gives a tensor, got {type(output).__name__}"
            )
        array: np.ndarray = output.numpy()
        return array

    return run, extra[KEY] or None
