"""OpenVINO: an XML file and its weights, for Intel processors and others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from segdistill.delivery.contract import KEY, Contract
from segdistill.delivery.onnx import write_onnx
from segdistill.delivery.opened import Run, RuntimeRefusalError, in_one_line
from segdistill.files import temporary_folder


def write_openvino(
    network: nn.Module, path: Path, size: tuple[int, int], contract: Contract
) -> None:
    """Write a network as OpenVINO's XML with its weights in a ``.bin`` file next to it.

    Args:
        network: see :func:`segdistill.delivery.onnx.export_onnx`, as for the others.
        path: the file; its name ends in ``.xml``.
        size: height and width of the image for tracing.
        contract: inputs and outputs of the graph.

    Raises:
        ValueError: torch cannot export the network.
    """
    save(read_converted(network, path, size, contract), path, contract)


def read_converted(
    network: nn.Module, path: Path, size: tuple[int, int], contract: Contract
) -> Any:
    """Return a network as an OpenVINO model, by way of an ONNX file next to ``path``."""
    # Through ONNX, whose free sizes are tested; tracing the module would fix sizes it reads.
    with temporary_folder(path) as folder:
        floating = folder / "float.onnx"
        write_onnx(network, floating, size, contract)
        return _openvino().Core().read_model(floating.read_bytes(), b"")


def save(model: Any, path: Path, contract: Contract) -> None:
    """Write an OpenVINO model in its own precision."""
    model.set_rt_info(contract.as_text(), KEY)
    # By default OpenVINO would convert the weights to float16.
    _openvino().save_model(model, str(path), compress_to_fp16=False)


def open_openvino(path: Path, threads: int = 0) -> tuple[Run, str | None]:
    """Open an OpenVINO file on the CPU, to compute in the precision of the file.

    Args:
        path: the ``.xml`` file; its ``.bin`` file is next to it.
        threads: number of threads, 0 for all.

    Returns:
        A function that runs it, and the contract in its metadata or None.

    Raises:
        RuntimeRefusalError: OpenVINO cannot read it.
    """
    # Without the hint, processors with bfloat16 units would use them.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        core = _openvino().Core()
        model = core.read_model(str(path))
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise RuntimeRefusalError(
            f"{path}: expected a file that OpenVINO can read, got: {in_one_line(error)}"
        ) from None

    def run(images: np.ndarray) -> np.ndarray:
        try:
            output: np.ndarray = compiled(images)[0]
        except RuntimeError as error:
            raise RuntimeRefusalError(f"OpenVINO: {in_one_line(error)}") from None
        return output

    return run, model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else None


def _openvino() -> Any:
    """Import OpenVINO without its telemetry package, which would send usage statistics."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
