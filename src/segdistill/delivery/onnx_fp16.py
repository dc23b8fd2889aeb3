"""ONNX in half precision: half the size; inputs and outputs follow the contract."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from segdistill.delivery.contract import INPUT, Contract
from segdistill.delivery.onnx import write_onnx

if TYPE_CHECKING:
    import onnx


def write_onnx_fp16(
    network: nn.Module, path: Path, size: tuple[int, int], contract: Contract
) -> None:
    """Write a network as ONNX whose weights and arithmetic are float16.

    A CPU computes it in float32 between conversions, so it saves space there, and time only on
    devices with half-precision units.

    Args:
        network: see :func:`segdistill.delivery.onnx.export_onnx`, as for the others.
        path: the file.
        size: height and width of the image for tracing.
        contract: inputs and outputs of the graph.

    Raises:
        ValueError: torch cannot export the network.
    """
    import onnx
    from onnxconverter_common import float16

    write_onnx(network, path, size, contract)
    with warnings.catch_warnings():
        # The converter names constants that float16 cannot represent; the gate measures the effect.
        warnings.simplefilter("ignore")
        half = float16.convert_float_to_float16(onnx.load(str(path)), keep_io_types=True)
    _take_bytes(half)
    _give_float32(half)
    onnx.checker.check_model(half)
    onnx.save(half, str(path))


def _take_bytes(model: onnx.ModelProto) -> None:
    """Cast uint8 images to float16 where the converter has left a cast to float32."""
    from onnx import TensorProto

    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] == INPUT:
            for attribute in node.attribute:
                attribute.i = TensorProto.FLOAT16


def _give_float32(model: onnx.ModelProto) -> None:
    """Cast an output that the converter has left in float16, as it does after resizing."""
    from onnx import TensorProto, helper

    for output in model.graph.output:
        if output.type.tensor_type.elem_type != TensorProto.FLOAT16:
            continue
        name = f"{output.name}_float16"
        for node in model.graph.node:
            for number, written in enumerate(node.output):
                if written == output.name:
                    node.output[number] = name
        cast = helper.make_node("Cast", [name], [output.name], to=TensorProto.FLOAT)
        model.graph.node.append(cast)
        output.type.tensor_type.elem_type = TensorProto.FLOAT
