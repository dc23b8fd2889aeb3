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
from segdistill.delivery.onnx_int8 import Holds
from segdistill.delivery.openvino import read_converted, save

_LAYERS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")


def write_openvino_int8(
    network: nn.Module,
    path: Path,
    size: tuple[int, int],
    contract: Contract,
    calibration: Sequence[np.ndarray],
    holds: Holds | None = None,
) -> tuple[str, ...]:
    """Write a network as OpenVINO with 8-bit activations and weights.

    If the result is not good enough, the layers nearest to the output stay in float32: one, then
    two, four, eight and so on, because the last maps of a segmentation network decide its classes.

    Args:
        network: see :func:`segdistill.delivery.onnx_int8.write_onnx_int8`, as for the others.
        path: the file; its name ends in ``.xml``.
        size: height and width of the image for tracing.
        contract: inputs and outputs of the graph.
        calibration: images in the input format of the contract.
        holds: returns whether a file is good enough; by default every file is.

    Returns:
        The layers that stayed in float32.

    Raises:
        ValueError: torch cannot export the network, or there are no calibration images.
    """
    if not calibration:
        raise ValueError("write_openvino_int8: expected calibration images, got none")
    model = read_converted(network, path, size, contract)
    layers = tuple(
        operation.get_friendly_name()
        for operation in reversed(model.get_ordered_ops())
        if operation.get_type_name() in _LAYERS
    )
    save(_quantise(model, calibration, ()), path, contract)
    kept: tuple[str, ...] = ()
    count = 1
    while holds is not None and not holds(path) and len(kept) < len(layers):
        kept = layers[:count]
        save(_quantise(model, calibration, kept), path, contract)
        count *= 2
    return kept


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
