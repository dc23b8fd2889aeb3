"""ONNX: a network as a file for other programs, for any image size."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segdistill.delivery.contract import INPUT, KEY, Contract, Images, Output
from segdistill.delivery.opened import Run, RuntimeRefusalError, in_one_line
from segdistill.delivery.program import Program, example
from segdistill.files import temporary_folder
from segdistill.network_state import device_of, evaluating


def export_onnx(
    network: nn.Module,
    path: Path | str,
    size: tuple[int, int],
    *,
    full_size: bool = True,
    opset: int = 18,
    static: bool = False,
    contract: Contract | None = None,
) -> None:
    """Write a network as ONNX, with free batch, height and width, or for a single size.

    The graph maps ``images`` to ``logits`` or the ``mask``; normalisation is included.
    Check it with :func:`segdistill.delivery.parity.compare` before using it.

    Args:
        network: a network that returns ``SegOutput``; its mode is restored.
        path: file to write, atomically.
        size: height and width of the image for tracing.
        full_size: resize the logits to the image.
        opset: version of ONNX's operators.
        static: accept only single images of this size, for networks that cannot be exported with
            free sizes and for programs without support for them.
        contract: inputs and outputs of the graph, stored in its metadata; by default float images
            and logits, without metadata.

    Raises:
        ValueError: torch cannot export the network; the operator is named if torch reports it.
    """
    path = Path(path)
    images: Images = "float" if contract is None else contract.images
    output: Output = "logits" if contract is None else contract.output
    # A batch of 1 would be treated as a constant.
    traced = example(size, images=images, batch=1 if static else 2).to(device_of(network))
    dimensions = None if static else ({0: "batch", 2: "height", 3: "width"},)
    with evaluating(network), _quiet():
        wrapper = Program(network, images=images, output=output, full_size=full_size).eval()
        try:
            program = torch.onnx.export(
                wrapper,
                (traced,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[output],
                dynamic_shapes=dimensions,
                opset_version=opset,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            answer = "" if static else "; a fixed size (static) may work"
            raise ValueError(
                f"export_onnx: expected a network that torch can export, got: {error}{answer}"
            ) from error
    if program is None:
        raise ValueError("export_onnx: expected a program of torch.onnx, got none")
    if contract is not None:
        program.model.metadata_props[KEY] = contract.as_text()
    with temporary_folder(path) as folder:
        program.save(str(folder / path.name))
        (folder / path.name).replace(path)


def write_onnx(network: nn.Module, path: Path, size: tuple[int, int], contract: Contract) -> None:
    """Write a network as the format ``onnx``; see :func:`export_onnx`."""
    export_onnx(network, path, size, static=contract.size is not None, contract=contract)


def open_onnx(path: Path, threads: int = 0) -> tuple[Run, str | None]:
    """Open an ONNX file in onnxruntime, on the CPU.

    Args:
        path: the file.
        threads: number of threads, 0 for all.

    Returns:
        A function that runs it, and the contract in its metadata or None.

    Raises:
        RuntimeRefusalError: onnxruntime cannot read it.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors come as exceptions
    refusals = (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
    )
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except refusals as error:
        raise RuntimeRefusalError(
            f"{path}: expected a file that onnxruntime can read, got: {in_one_line(error)}"
        ) from None
    name = session.get_inputs()[0].name

    def run(images: np.ndarray) -> np.ndarray:
        try:
            output: np.ndarray = session.run(None, {name: images})[0]
        except refusals as error:
            raise RuntimeRefusalError(f"onnxruntime: {in_one_line(error)}") from None
        return output

    return run, session.get_modelmeta().custom_metadata_map.get(KEY)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's progress and notices, because the library never prints."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
