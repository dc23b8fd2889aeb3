"""ONNX in INT8: static quantisation, calibrated on training images."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from segdistill.delivery.contract import INPUT, KEY, Contract
from segdistill.delivery.fallback import Holds, Layers, fall_back
from segdistill.delivery.onnx import open_onnx, write_onnx
from segdistill.files import temporary_folder

_FEW = 4  # images on which layers are compared
_WEIGHED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def write_onnx_int8(
    network: nn.Module,
    path: Path,
    size: tuple[int, int],
    contract: Contract,
    calibration: Sequence[np.ndarray],
    holds: Holds | None = None,
) -> Layers:
    """Write a network as ONNX with unsigned 8-bit activations and signed 8-bit weights.

    Weights have one scale per output channel, and each activation has one scale, from its minimum
    and maximum on the calibration images. If the result is not good enough, the layers that alone
    change the network's output most are left in float32: one, then two, four, eight and so on.

    Args:
        network: see :func:`segdistill.delivery.onnx.export_onnx`.
        path: the file.
        size: height and width of the image for tracing.
        contract: inputs and outputs of the graph.
        calibration: images of one size in the contract's format, never from the reported split.
        holds: returns whether a file is good enough; by default every file is.

    Shape:
        each of calibration ``(1, 3, H, W)``.

    Returns:
        The layers that stayed in float32, and all of them, the most sensitive first.

    Raises:
        ValueError: torch cannot export the network, or there are no calibration images.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import (
        quant_pre_process,
    )

    if not calibration:
        raise ValueError("write_onnx_int8: expected calibration images, got none")
    with temporary_folder(path) as folder:
        floating, prepared = folder / "float.onnx", folder / "prepared.onnx"
        write_onnx(network, floating, size, contract)
        with _quiet():
            # Symbolic shapes fail for free sizes, and quantisation does not need them.
            quant_pre_process(str(floating), str(prepared), skip_symbolic_shape=True)

        def write(kept: Sequence[str]) -> None:
            _quantise(prepared, path, calibration, kept=kept)

        layers = fall_back(write, path, lambda: _by_sensitivity(prepared, calibration), holds)
    model = onnx.load(str(path))
    if KEY not in {entry.key for entry in model.metadata_props}:
        model.metadata_props.add(key=KEY, value=contract.as_text())
        onnx.save(model, str(path))
    return layers


def _quantise(
    prepared: Path,
    path: Path,
    calibration: Sequence[np.ndarray],
    *,
    kept: Sequence[str] = (),
    alone: Sequence[str] = (),
) -> None:
    """Write a file in which some layers stay in float32, or in which some alone do not."""
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    with _quiet():
        quantize_static(
            str(prepared),
            str(path),
            _reader(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=None,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=list(alone),
            nodes_to_exclude=list(kept),
            calibrate_method=CalibrationMethod.MinMax,
        )


def _reader(calibration: Sequence[np.ndarray]) -> object:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Returns the images one at a time."""

        def __init__(self) -> None:
            self.images = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {INPUT: image}

    return Reader()


def _by_sensitivity(prepared: Path, calibration: Sequence[np.ndarray]) -> tuple[str, ...]:
    """Return the names of layers with weights, those first that alone change the output most.

    The error at a layer's own output tells little: it is the sum of those of all layers before,
    and a layer whose channels differ in scale does its harm further on.
    """
    import onnx

    few = calibration[:_FEW]
    nodes = onnx.load(str(prepared)).graph.node
    expected = _outputs(prepared, few)
    changes = dict[str, float]()
    for layer in (node.name for node in nodes if node.op_type in _WEIGHED):
        file = prepared.with_name("alone.onnx")
        _quantise(prepared, file, few, alone=(layer,))
        changes[layer] = _change(_outputs(file, few), expected)
    return tuple(sorted(changes, key=changes.__getitem__, reverse=True))


def _outputs(file: Path, images: Sequence[np.ndarray]) -> np.ndarray:
    run, _ = open_onnx(file)
    return np.concatenate([run(image) for image in images])


def _change(given: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean square of the difference of logits, or the share of a mask's pixels."""
    if expected.dtype == np.uint8:
        return float((given != expected).mean())
    return float(np.square(given - expected).mean())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress onnxruntime's advice, because the library never prints."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
