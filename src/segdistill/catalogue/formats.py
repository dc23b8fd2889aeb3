"""The formats that a student can be exported to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segdistill.catalogue.tables import Entry


@dataclass(frozen=True)
class Format(Entry):
    """One row of ``FORMATS``.

    ``target`` writes a network: ``target(network, path, size, contract)``, or, with calibration,
    ``target(network, path, size, contract, calibration, holds)``, which returns the names of
    the layers that it left in float32.

    Attributes:
        opener: ``"module:function"`` in ``segdistill.delivery`` that opens a file in its own
            runtime: ``opener(path, threads)`` returns a runner and the contract's text.
        suffix: ending of the file's name.
        companion: ending of the name of a second file that belongs to it.
        extra: name of the pip extra that it needs.
        packages: packages that writing and running the file import.
        code: loading the file can run code, so it has to be trusted.
        calibrated: it is quantised with images of the training split.
        any_size: the file can accept images of any size.
        agreement: share of pixels that must at least get the network's class.
        largest_difference: largest allowed difference of the logits, None for no limit.
        loss_points: mIoU points (of 100) that it may lose, None if agreement says enough.
        source: where the format is defined.
    """

    opener: str = ""
    suffix: str = ""
    companion: str = ""
    extra: str = ""
    packages: tuple[str, ...] = ()
    code: bool = False
    calibrated: bool = False
    any_size: bool = True
    agreement: float = 0.0
    largest_difference: float | None = None
    loss_points: float | None = None
    source: str = ""


_GIVEN = ("network", "path", "size", "contract")
_CALIBRATED = (*_GIVEN, "calibration", "holds")
_ONNX = ("onnx", "onnxscript", "onnxruntime")

FORMATS: dict[str, Format] = {
    "onnx": Format(
        target="onnx:write_onnx",
        about="ONNX, for onnxruntime, TensorRT, OpenVINO and browsers; any image size.",
        given=_GIVEN,
        opener="onnx:open_onnx",
        suffix=".onnx",
        extra="onnx",
        packages=_ONNX,
        agreement=0.999,
        largest_difference=1e-3,
        source="https://onnx.ai",
    ),
    "onnx-fp16": Format(
        target="onnx_fp16:write_onnx_fp16",
        about="ONNX in half precision: half the size, faster on devices that support it.",
        given=_GIVEN,
        opener="onnx:open_onnx",
        suffix=".fp16.onnx",
        extra="onnx",
        packages=(*_ONNX, "onnxconverter_common"),
        agreement=0.995,
        source="https://onnx.ai",
    ),
    "onnx-int8": Format(
        target="onnx_int8:write_onnx_int8",
        about="ONNX in 8-bit integers, calibrated on training images.",
        given=_CALIBRATED,
        opener="onnx:open_onnx",
        suffix=".int8.onnx",
        extra="onnx",
        packages=_ONNX,
        calibrated=True,
        loss_points=0.4,
        source="https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html",
    ),
    "openvino": Format(
        target="openvino:write_openvino",
        about="OpenVINO, for Intel processors; any image size.",
        given=_GIVEN,
        opener="openvino:open_openvino",
        suffix=".xml",
        companion=".bin",
        extra="openvino",
        packages=(*_ONNX, "openvino"),
        agreement=0.999,
        largest_difference=1e-3,
        source="https://docs.openvino.ai",
    ),
    "openvino-int8": Format(
        target="openvino_int8:write_openvino_int8",
        about="OpenVINO in 8-bit integers, calibrated on training images by NNCF.",
        given=_CALIBRATED,
        opener="openvino:open_openvino",
        suffix=".int8.xml",
        companion=".bin",
        extra="openvino",
        packages=(*_ONNX, "openvino", "nncf"),
        calibrated=True,
        loss_points=0.4,
        source="https://github.com/openvinotoolkit/nncf",
    ),
    "litert": Format(
        target="litert:write_litert",
        about="LiteRT (TensorFlow Lite), for phones and small boards; one image size.",
        given=_GIVEN,
        opener="litert:open_litert",
        suffix=".tflite",
        companion=".tflite.json",
        extra="litert",
        packages=("ai_edge_litert",),
        any_size=False,
        agreement=0.999,
        largest_difference=1e-3,
        source="https://ai.google.dev/edge/litert",
    ),
    "litert-int8": Format(
        target="litert:write_litert_int8",
        about="LiteRT in 8-bit integers, calibrated on training images; one image size.",
        given=_CALIBRATED,
        opener="litert:open_litert",
        suffix=".int8.tflite",
        companion=".tflite.json",
        extra="litert",
        packages=("ai_edge_litert",),
        calibrated=True,
        any_size=False,
        loss_points=0.4,
        source="https://github.com/google-ai-edge/ai-edge-quantizer",
    ),
    "executorch": Format(
        target="executorch:write_executorch",
        about="ExecuTorch with XNNPACK, for phones and small boards; one image size.",
        given=_GIVEN,
        opener="executorch:open_executorch",
        suffix=".pte",
        companion=".pte.json",
        any_size=False,
        agreement=0.999,
        largest_difference=1e-3,
        source="https://docs.pytorch.org/executorch",
    ),
    "pt2": Format(
        target="pt2:write_pt2",
        about="A program of torch.export, for PyTorch without segdistill; loading it needs trust.",
        given=_GIVEN,
        opener="pt2:open_pt2",
        suffix=".pt2",
        code=True,
        agreement=0.999,
        largest_difference=1e-3,
        source="https://docs.pytorch.org/docs/stable/export.html",
    ),
}


def format_of(path: Path) -> str | None:
    """Return the format that a file's name indicates, or None if it cannot be run."""
    fitting = [name for name, row in FORMATS.items() if path.name.endswith(row.suffix)]
    return max(fitting, key=lambda name: len(FORMATS[name].suffix), default=None)


def is_exported(path: Path) -> bool:
    """Return whether a file's name is that of an exported file of any format."""
    return format_of(path) is not None and not path.is_dir()
