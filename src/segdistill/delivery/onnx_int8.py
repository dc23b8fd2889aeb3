"""ONNX in whole numbers: static quantisation, calibrated on training images."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from segdistill.delivery.contract import INPUT, KEY, Contract
from segdistill.delivery.onnx import write_onnx

Holds = Callable[[Path], bool]
"""Whether a file that was quantised is good enough."""

_WEIGHED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def write_onnx_int8(
    network: nn.Module,
    path: Path,
    size: tuple[int, int],
    contract: Contract,
    calibration: Sequence[np.ndarray],
    holds: Holds | None = None,
) -> tuple[str, ...]:
    """Write a network as ONNX with activations of 8 bits, unsigned, and weights of 8, signed.

    Weights have a scale per output channel, activations one each, from the smallest and largest
    values on the calibration images. Where the result is not good enough, the layers whose
    output moved most are left in float32: one, then two, four, eight and so on.

    Args:
        network: see :func:`segdistill.delivery.onnx.export_onnx`.
        path: the file.
        size: height and width of the image that it is traced with.
        contract: what the graph takes and gives.
        calibration: images as the contract says, of one size, never of the reported split.
        holds: says whether a file will do; every file does by default.

    Shape:
        each of calibration ``(1, 3, H, W)``.

    Returns:
        The layers that stayed in float32, those that lose most first; all weighed layers where
        nothing else would do.

    Raises:
        ValueError: torch cannot export the network, or there are no calibration images.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import (
        quant_pre_process,
    )

    if not calibration:
        raise ValueError("write_onnx_int8: expected calibration images, got none")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        floating, prepared = Path(folder) / "float.onnx", Path(folder) / "prepared.onnx"
        write_onnx(network, floating, size, contract)
        with _quiet():
            # Symbolic shapes fail on free sizes, and quantisation does not need them.
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
        """Hands the images out, one at a time."""

        def __init__(self) -> None:
            self.images = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {INPUT: image}

    return Reader()


def _by_sensitivity(
    prepared: Path, quantised: Path, calibration: Sequence[np.ndarray]
) -> tuple[str, ...]:
    """Return the weighed layers' names, those first whose output quantisation moves most.

    A layer's loss is the signal-to-noise ratio of its output in the quantised network, on a few
    calibration images; onnxruntime computes it.
    """
    import onnx
    from onnxruntime.quantization import qdq_loss_debug as debug

    with (
        tempfile.TemporaryDirectory(dir=quantised.parent, prefix=".sensitivity.") as name,
        _quiet(),
    ):
        folder = Path(name)
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
        # An activation is quantised with the layer before it, so the layer's own is not there.
        for _ in range(3):
            if "xmodel_err" in errors.get(name, {}):
                return float(errors[name]["xmodel_err"])
            name = after.get(name, name)
        return 0.0  # the output itself: it decides the classes

    layers = {
        node.name: signal_to_noise(node.output[0]) for node in nodes if node.op_type in _WEIGHED
    }
    return tuple(sorted(layers, key=layers.__getitem__))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep onnxruntime's advice off the terminal: the library never prints."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
