"""An exported file as a network, for scoring, timing and predicting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.delivery.contract import Contract
from segdistill.errors import SegdistillError
from segdistill.types import SegOutput

Run = Callable[[np.ndarray], np.ndarray]
"""Maps images in the file's format to its output, in its own runtime on the CPU."""


class RuntimeRefusalError(SegdistillError):
    """A runtime cannot read a file, or cannot run it on these images."""


class OpenedFile(nn.Module):
    """A file in its runtime, with the interface of a network.

    Images are converted to the file's input format: to uint8 if required, and one by one and
    resized if it accepts a single size. A mask becomes logits of 0 and 1.

    Args:
        run: function that computes the file's output.
        contract: the file's contract.
        file: the file, for error messages.

    Shape:
        images ``(N, 3, H, W)``, float in [0, 1] or uint8; logits ``(N, K, H, W)`` float32, or of
        the file's own size.

    Raises:
        RuntimeRefusalError: when called, if the runtime fails.
        ValueError: when called, if the output contradicts the contract.
    """

    def __init__(self, run: Run, contract: Contract, file: Path) -> None:
        super().__init__()
        self.run = run
        self.contract = contract
        self.file = file

    def forward(self, images: Tensor) -> SegOutput:
        size = self.contract.size
        if images.dtype == torch.uint8:
            images = images.float() / 255
        if size is not None and images.shape[2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        if self.contract.images == "uint8":
            images = (images * 255).round().to(torch.uint8)
        parts = torch.tensor_split(images, 1 if size is None else len(images))
        # Runtimes expect contiguous memory with channels first.
        outputs = [torch.from_numpy(self.run(part.contiguous().numpy())) for part in parts]
        return SegOutput(self._logits(torch.cat(outputs), images))

    def _logits(self, output: Tensor, images: Tensor) -> Tensor:
        classes = len(self.contract.classes)
        if self.contract.output == "mask":
            wanted = (len(images), *images.shape[2:])
            self._check(tuple(output.shape) == wanted and int(output.max()) < classes, output)
            return F.one_hot(output.long(), classes).movedim(-1, 1).float()
        self._check(output.ndim == 4 and output.shape[:2] == (len(images), classes), output)
        return output.float()

    def _check(self, right: bool, output: Tensor) -> None:
        if not right:
            raise ValueError(
                f"{self.file}: expected a {self.contract.output} of "
                f"{len(self.contract.classes)} classes, got an output of shape "
                f"{tuple(output.shape)}; give the classes of the file"
            )


def in_one_line(error: Exception) -> str:
    """Return a runtime's message on one line, without positions in its source code."""
    return " ".join(str(error).split())[:300]
