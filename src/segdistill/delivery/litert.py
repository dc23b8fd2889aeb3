"""LiteRT (TensorFlow Lite): one file for phones and small boards, at a fixed image size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from segdistill.delivery.contract import Contract
from segdistill.delivery.environments import Environment, convert
from segdistill.delivery.fallback import Holds, Layers
from segdistill.delivery.opened import Run, RuntimeRefusalError, in_one_line
from segdistill.files import write_whole

PYTHON = "SEGDISTILL_LITERT_PYTHON"
"""Environment variable with the Python that has litert-torch."""

_ENVIRONMENT = Environment(PYTHON, "litert-torch", "litert_torch", "litert-torch")

CONTRACT = ".tflite.json"
"""Ending of the name of the file with the contract, next to the file."""

_CONVERTER = Path(__file__).with_name("convert_litert.py")


def write_litert(network: nn.Module, path: Path, size: tuple[int, int], contract: Contract) -> None:
    """Write a network for LiteRT, with its contract as JSON next to the file.

    litert-torch converts it, in an environment of its own: its requirements contradict ours.

    Args:
        network: see :func:`segdistill.delivery.onnx.export_onnx`, as for the others.
        path: the file.
        size: height and width of the only images that the file takes.
        contract: inputs and outputs of the graph.

    Raises:
        ConfigError: there is no Python with litert-torch.
        ValueError: torch or litert-torch cannot convert the network.
    """
    _convert(network, path, size, contract, None)


def write_litert_int8(
    network: nn.Module,
    path: Path,
    size: tuple[int, int],
    contract: Contract,
    calibration: Sequence[np.ndarray],
    holds: Holds | None = None,
) -> Layers:
    """Write a network for LiteRT with 8-bit activations and weights.

    Weights have one scale per output channel. No layer is left in float32: where the file loses
    too much, it is refused.

    Args:
        network: see :func:`write_litert`, as for the others.
        path: the file.
        size: height and width of the only images that the file takes.
        contract: inputs and outputs of the graph.
        calibration: images in the input format of the contract.
        holds: not asked, since there is no other file to fall back to.

    Shape:
        each of calibration ``(1, 3, *size)``.

    Returns:
        No layer, and no order.

    Raises:
        ConfigError: there is no Python with litert-torch.
        ValueError: torch or litert-torch cannot convert the network, or there are no calibration
            images.
    """
    if not calibration:
        raise ValueError("write_litert_int8: expected calibration images, got none")
    _convert(network, path, size, contract, np.stack(calibration))
    return Layers()


def _convert(
    network: nn.Module,
    path: Path,
    size: tuple[int, int],
    contract: Contract,
    calibration: np.ndarray | None,
) -> None:
    who = "write_litert"
    convert(who, _ENVIRONMENT, _CONVERTER, network, path, size, contract, calibration)
    write_whole(path.with_suffix(CONTRACT), contract.as_text().encode())


def open_litert(path: Path, threads: int = 0) -> tuple[Run, str | None]:
    """Open a LiteRT file on the CPU.

    Args:
        path: the file.
        threads: number of threads, 0 for all.

    Returns:
        A function that runs it, and the contract in the file next to it or None.

    Raises:
        RuntimeRefusalError: LiteRT cannot read it.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(path), num_threads=threads or None)
        interpreter.allocate_tensors()
        (given,), (gives,) = interpreter.get_input_details(), interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise RuntimeRefusalError(
            f"{path}: expected a file with one input and one output that LiteRT can read, got: "
            f"{in_one_line(error)}"
        ) from None

    def run(images: np.ndarray) -> np.ndarray:
        try:
            interpreter.set_tensor(given["index"], _quantised(images, given))
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise RuntimeRefusalError(f"LiteRT: {in_one_line(error)}") from None
        return _real(interpreter.get_tensor(gives["index"]), gives)

    contract = path.with_suffix(CONTRACT)
    return run, contract.read_text() if contract.is_file() else None


def _quantised(images: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Return images in the type of an input, which in a quantised file may be integers."""
    scale, zero = details["quantization"]
    if not scale or images.dtype == details["dtype"]:
        return images
    limits = np.iinfo(details["dtype"])
    rounded: np.ndarray = np.clip(np.rint(images / scale) + zero, limits.min, limits.max)
    return rounded.astype(details["dtype"])


def _real(output: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    if not scale:
        return output
    real: np.ndarray = (output.astype(np.float32) - zero) * np.float32(scale)
    return real
