"""ONNX: a network as a file that other programs run, at any image size."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.network_state import device_of, evaluating
from segdistill.types import SegOutput

INPUT, OUTPUT = "images", "logits"


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
    full_size: bool = True,
    opset: int = 18,
    static: bool = False,
) -> None:
    """Write a network as ONNX, with free batch, height and width or for one size.

    The graph takes ``images``, float RGB in [0, 1], and gives ``logits``; normalisation is
    inside. Check it with :func:`segdistill.delivery.parity.compare_onnx` before it is used.

    Args:
        network: a network that returns ``SegOutput``; its mode is restored.
        path: the file; it is written whole.
        size: height and width of the image that it is traced with.
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
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        program.save(str(temporary))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
