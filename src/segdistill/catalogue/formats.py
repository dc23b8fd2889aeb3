"""The formats that a student is exported in."""

from __future__ import annotations

from dataclasses import dataclass

from segdistill.catalogue.settings import Setting
from segdistill.catalogue.tables import Entry


@dataclass(frozen=True)
class Format(Entry):
    """One row of ``FORMATS``.

    ``target`` writes a network: ``target(network, file, size)``, and ``classes=`` where these
    are among what it is ``given``.

    Attributes:
        compare: ``"module:function"`` in ``segdistill.delivery`` that runs the file beside the
            network: ``compare(network, file, sizes)`` returns a ``Parity`` per size.
        suffix: how the file's name ends.
        extra: what ``pip install 'segdistill[...]'`` has to name.
        packages: what writing and proving the file imports.
        source: where the format is defined.
    """

    compare: str = ""
    suffix: str = ""
    extra: str = ""
    packages: tuple[str, ...] = ()
    source: str = ""


FORMATS: dict[str, Format] = {
    "onnx": Format(
        target="onnx:export_onnx",
        about="ONNX, for onnxruntime, TensorRT, OpenVINO and browsers; any image size.",
        settings={
            "full_size": Setting(bool, True, "resize the logits to the image inside the file"),
            "opset": Setting(int, 18, "version of ONNX's operators", at_least=18),
            "static": Setting(bool, False, "take one image of the traced size only"),
        },
        given=("network", "path", "size", "classes"),
        compare="parity:compare_onnx",
        suffix=".onnx",
        extra="export",
        packages=("onnx", "onnxscript", "onnxruntime"),
        source="https://onnx.ai",
    ),
}
