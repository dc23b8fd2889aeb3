"""OpenVINO: an XML file and its weights, for Intel's processors and many others."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from segdistill.delivery.contract import KEY, Contract
from segdistill.delivery.onnx import write_onnx
from segdistill.delivery.opened import Run, RuntimeRefusalError, in_one_line


def write_openvino(
    network: nn.Module, path: Path, size: tuple[int, int], contract: Contract
) -> None:
    """Write a network as OpenVINO's XML, and its weights beside it as ``.bin``.

    Args:
        network: see :func:`segdistill.delivery.onnx.export_onnx`, as are the others.
        path: the file, its name ends in ``.xml``.
        size: height and width of the image that it is traced with.
        contract: what the graph takes and gives.

    Raises:
        ValueError: torch cannot export the network.
    """
    save(read_converted(network, path, size, contract), path, contract)


def read_converted(
    network: nn.Module, path: Path, size: tuple[int, int], contract: Contract
) -> Any:
    """Return a network as OpenVINO's model, by way of an ONNX file beside ``path``."""
    # Through ONNX, whose free sizes are proven; tracing the module freezes what it reads of them.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        floating = Path(folder) / "float.onnx"
        write_onnx(network, floating, size, contract)
        return _openvino().Core().read_model(floating.read_bytes(), b"")


def save(model: Any, path: Path, contract: Contract) -> None:
    """Write OpenVINO's model, in the precision that it has."""
    model.set_rt_info(contract.as_text(), KEY)
    # By default it would make float16 of the weights.
    _openvino().save_model(model, str(path), compress_to_fp16=False)


def open_openvino(path: Path, threads: int = 0) -> tuple[Run, str | None]:
    """Open an OpenVINO file on the CPU, computing in the precision that it is written in.

    Args:
        path: the ``.xml``; its ``.bin`` lies beside it.
        threads: that it computes with, 0 for all.

    Returns:
        What runs it, and the contract in its metadata, None where there is none.

    Raises:
        RuntimeRefusalError: OpenVINO cannot read it.
    """
    # Without the hint, processors that have bfloat16 compute in it.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        core = _openvino().Core()
        model = core.read_model(str(path))
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise RuntimeRefusalError(
            f"{path}: expected a file that OpenVINO reads, got: {in_one_line(error)}"
        ) from None

    def run(images: np.ndarray) -> np.ndarray:
        try:
            output: np.ndarray = compiled(images)[0]
        except RuntimeError as error:
            raise RuntimeRefusalError(f"OpenVINO: {in_one_line(error)}") from None
        return output

    return run, model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else None


def _openvino() -> Any:
    """Import OpenVINO, which sends usage statistics where the package that sends them is there."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
