"""OpenVINO in INT8: NNCF's static quantisation, calibrated on training images."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from segdistill.delivery.contract import Contract
from segdistill.delivery.fallback import Holds, Layers, fall_back
from segdistill.delivery.openvino import read_converted, save

_LAYERS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")


def write_openvino_int8(
    network: nn.Module,
    path: Path,
    size: tuple[int, int],
    contract: Contract,
    calibration: Sequence[np.ndarray],
    holds: Holds | None = None,
) -> Layers:
    """Write a network as OpenVINO with 8-bit activations and weights.

    If the result is not good enough, layers stay in float32, in turn the last ones, whose maps
    decide the classes, and the first ones, whose errors all others pass on.

    Args:
        network: see :func:`segdistill.delivery.onnx_int8.write_onnx_int8`, as for the others.
        path: the file; its name ends in ``.xml``.
        size: height and width of the image for tracing.
        contract: inputs and outputs of the graph.
        calibration: images in the input format of the contract.
        holds: returns whether a file is good enough; by default every file is.

    Returns:
        The layers that stayed in float32, and all of them from both ends.

    Raises:
        ValueError: torch cannot export the network, or there are no calibration images.
    """
    if not calibration:
        raise ValueError("write_openvino_int8: expected calibration images, got none")
    model = read_converted(network, path, size, contract)
    layers = [
        operation.get_friendly_name()
        for operation in model.get_ordered_ops()
        if operation.get_type_name() in _LAYERS
    ]

    def write(kept: Sequence[str]) -> None:
        save(_quantise(model, calibration, kept), path, contract)

    return fall_back(write, path, lambda: from_both_ends(layers), holds)


def from_both_ends(layers: Sequence[str]) -> list[str]:
    """Return layers in turn from the output's and from the input's end."""
    order = [each for pair in zip(reversed(layers), layers, strict=True) for each in pair]
    return list(dict.fromkeys(order))


def _quantise(model: Any, calibration: Sequence[np.ndarray], kept: Sequence[str]) -> Any:
    import nncf

    ignored = nncf.IgnoredScope(names=list(kept)) if kept else None
    with _quiet():
        return nncf.quantize(
            model.clone(),
            nncf.Dataset(list(calibration)),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(calibration),
            ignored_scope=ignored,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress NNCF's progress, because the library never prints."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
