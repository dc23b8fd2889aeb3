"""ONNX in INT8: static quantisation, calibrated on training images."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from segdistill.delivery.contract import INPUT, KEY, Contract
from segdistill.delivery.onnx import write_onnx
from segdistill.files import temporary_folder

Holds = Callable[[Path], bool]
"""Returns whether a quantised file is good enough."""

_WEIGHED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def write_onnx_int8(
    network: nn.Module,
    path: Path,
    size: tuple[int, int],
    contract: Contract,
    calibration: Sequence[np.ndarray],
    holds: Holds | None = None,
) -> tuple[str, ...]:
    """Write a network as ONNX with unsigned 8-bit activations and signed 8-bit weights.

    Weights have one scale per output channel, and each activation has one scale, from its minimum
    and maximum on the calibration images. If the result is not good enough, the layers whose
    output changed most are left in float32: one, then two, four, eight and so on.

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
        The layers that stayed in float32, the most sensitive first; all layers with weights if
        nothing else was good enough.

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
            _quantise(prepared, path, calibration, ())
        sensitive: tuple[str, ...] = ()
        if holds is not None and not holds(path):
            layers = _by_sensitivity(prepared, path, calibration)
            count = 1
            while not sensitive or (not holds(path) and len(sensitive) < len(layers)):
                sensitive = layers[:count]
                with _quiet():
                    _quantise(prepared, path, calibration, sensitive)
                count *= 2
    model = onnx.load(str(path))
    if KEY not in {entry.key for entry in model.metadata_props}:
        model.metadata_props.add(key=KEY, value=contract.as_text())
        onnx.save(model, str(path))
    return sensitive


def _quantise(
    prepared: Path, path: Path, calibration: Sequence[np.ndarray], excluded: Sequence[str]
) -> None:
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    quantize_static(
        str(prepared),
        str(path),
        _reader(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=None,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=list(excluded),
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


def _by_sensitivity(
    prepared: Path, quantised: Path, calibration: Sequence[np.ndarray]
) -> tuple[str, ...]:
    """Return the names of layers with weights, those first whose output changes most.

    The change is measured by the signal-to-noise ratio of a layer's output in the quantised
    network on a few calibration images, computed by onnxruntime.
    """
    import onnx
    from onnxruntime.quantization import qdq_loss_debug as debug

    with temporary_folder(quantised) as folder, _quiet():
        collected = []
        for model in (prepared, quantised):
            augmented = folder / model.name
            debug.modify_model_output_intermediate_tensors(str(model), str(augmented))
            collected.append(debug.collect_activations(str(augmented), _reader(calibration[:4])))
    floating, whole = collected
    matched = debug.create_activation_matching(whole, floating)
    errors = debug.compute_activation_error(matched)
    nodes = onnx.load(str(prepared)).graph.node
    after = {name: node.output[0] for node in nodes for name in node.input}

    def signal_to_noise(name: str) -> float:
        # An activation may be quantised together with the layer before it.
        for _ in range(3):
            if "xmodel_err" in errors.get(name, {}):
                return float(errors[name]["xmodel_err"])
            name = after.get(name, name)
        return 0.0  # the output itself, which decides the classes

    layers = {
        node.name: signal_to_noise(node.output[0]) for node in nodes if node.op_type in _WEIGHED
    }
    return tuple(sorted(layers, key=layers.__getitem__))


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
