"""ONNX: a network as a file that other programs run, at any image size."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.errors import DataError
from segdistill.network_state import device_of, evaluating
from segdistill.types import Classes, SegOutput

INPUT, OUTPUT = "images", "logits"
_NAMES, _COLORS = "class_names", "class_colors"


class _Logits(nn.Module):
    """The network's logits alone, at its own stride or at the image's size."""

    def __init__(self, network: nn.Module, full_size: bool) -> None:
        super().__init__()
        self.network = network
        self.full_size = full_size

    def forward(self, images: Tensor) -> Tensor:
        output: SegOutput = self.network(images)
        if not self.full_size:
            return output.logits
        return F.interpolate(output.logits, images.shape[2:], mode="bilinear", align_corners=False)


def export_onnx(
    network: nn.Module,
    path: Path | str,
    size: tuple[int, int],
    *,
    classes: Classes | None = None,
    full_size: bool = True,
    opset: int = 18,
    static: bool = False,
) -> None:
    """Write a network as ONNX, with free batch, height and width or for one size.

    The graph takes ``images``, float RGB in [0, 1], and gives ``logits``; normalisation is
    inside. Names and colours of the classes are in the file's metadata, where
    :func:`read_onnx_classes` and every runtime find them. Check it with
    :func:`segdistill.delivery.parity.compare_onnx` before it is used.

    Args:
        network: a network that returns ``SegOutput``; its mode is restored.
        path: the file; it is written whole.
        size: height and width of the image that it is traced with.
        classes: what the logits are of, in their order.
        full_size: resize the logits to the image.
        opset: version of ONNX's operators.
        static: take a single image of this size only, for networks that cannot be exported with
            free sizes, and for programs that want none.

    Raises:
        ValueError: torch cannot export the network.
    """
    path = Path(path)
    # A batch of 1 would be taken for a constant where it may not be.
    images = torch.rand(1 if static else 2, 3, *size, device=device_of(network))
    dimensions = None if static else ({0: "batch", 2: "height", 3: "width"},)
    with evaluating(network), _quiet():
        wrapper = _Logits(network, full_size).eval()
        try:
            program = torch.onnx.export(
                wrapper,
                (images,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=dimensions,
                opset_version=opset,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            answer = "" if static else "; a fixed size (static) asks less of it"
            raise ValueError(
                f"export_onnx: expected a network that torch can export, got: {error}{answer}"
            ) from error
    if program is None:
        raise ValueError("export_onnx: expected a program of torch.onnx, got none")
    if classes is not None:
        program.model.metadata_props[_NAMES] = json.dumps(classes.names, ensure_ascii=False)
        program.model.metadata_props[_COLORS] = json.dumps(classes.colors)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        program.save(str(temporary))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_onnx_classes(path: Path | str) -> Classes:
    """Return what the logits of a file are of, as its metadata say.

    They are strings of JSON under the keys ``class_names`` and ``class_colors``; onnxruntime
    has them in ``session.get_modelmeta().custom_metadata_map``.

    Raises:
        DataError: the file is no ONNX, or says nothing of its classes.
    """
    import onnx

    try:
        about = {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}
        colors = tuple((red, green, blue) for red, green, blue in json.loads(about[_COLORS]))
        return Classes(tuple(json.loads(about[_NAMES])), colors)
    except Exception as error:  # protobuf raises an error of its own
        raise DataError(
            f"{path}: expected an ONNX file with {_NAMES} and {_COLORS} in its metadata, got none "
            f"({type(error).__name__}: {error}); write it with segdistill export"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and notices off the terminal: the library never prints."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
