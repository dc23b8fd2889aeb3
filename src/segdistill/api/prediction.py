"""The prediction for one image: ids, names, shares and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from segdistill.config import EvaluationConfig
from segdistill.data.submission import overlay
from segdistill.errors import DataError
from segdistill.memory import free_memory, peak_memory
from segdistill.network_state import device_of, evaluating
from segdistill.scoring.inference import predict_ids
from segdistill.types import IGNORE_INDEX, Classes

_LARGE = 16_000_000
_SIDES = (256, 512, 1024)  # the first warms up


@dataclass(frozen=True)
class Prediction:
    """The class of each pixel of an image.

    Attributes:
        mask: class ids, an integer array ``(H, W)`` of the image's size.
        image: the image, RGB uint8 ``(H, W, 3)``.
        classes: names and colours, in the order of the ids.
    """

    mask: np.ndarray
    image: np.ndarray
    classes: Classes

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes; ``names[mask[y, x]]`` is the class of a pixel."""
        return self.classes.names

    def shares(self) -> dict[str, float]:
        """Return the share of the image's pixels by class name, in [0, 1]; they add up to 1."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.classes))
        shares: list[float] = (counts / self.mask.size).tolist()
        return dict(zip(self.names, shares, strict=True))

    def overlay(self) -> np.ndarray:
        """Return the image under half-transparent class colours, uint8 ``(H, W, 3)``."""
        return overlay(self.image, self.mask, self.classes)


def segment(
    network: nn.Module,
    image: np.ndarray,
    settings: EvaluationConfig,
    *,
    confidence: float = 0.0,
) -> np.ndarray:
    """Return the class ids of an image, at its own size.

    Args:
        network: the network in evaluation mode, used on its device.
        image: RGB.
        settings: scales, mirroring and window.
        confidence: minimum probability; a pixel whose best class has less becomes 255.

    Shape:
        image uint8 ``(H, W, 3)``; result ``(H, W)`` of the smallest type that can hold the ids.

    Raises:
        DataError: a large image would not fit into memory at once, and there is no window.
    """
    # A copy only where torch cannot share the array: images may have a hundred megapixels.
    shared = np.require(image, requirements=["C", "W"])
    tensor = torch.from_numpy(shared).permute(2, 0, 1)[None]
    views: dict[str, Any] = {
        "scales": settings.scales,
        "flip": settings.flip,
        "window": settings.window,
    }
    with evaluating(network), torch.inference_mode():
        images = tensor.to(device_of(network))
        if settings.window is None and image.shape[0] * image.shape[1] >= _LARGE:
            _check_room(network, images, views)
        sure = images.new_empty(1, *image.shape[:2], dtype=torch.float32) if confidence else None
        ids, _ = predict_ids(network, images, confidences=sure, **views)
        if sure is not None:
            ids[sure < confidence] = IGNORE_INDEX
    array: np.ndarray = ids[0].cpu().numpy()
    return array


def _check_room(network: nn.Module, images: torch.Tensor, views: dict[str, Any]) -> None:
    """Refuse an image whose maps would fill the memory, by what two corners of it need."""
    free = free_memory(images.device)
    points = []
    for side in _SIDES:
        corner = images[..., :side, :side]
        with peak_memory(images.device) as peak:
            predict_ids(network, corner, **views)
        points.append((corner[0, 0].numel(), peak.mib))
    (less, small), (more, large) = points[1:]
    if free is None or small is None or large is None or less == more:
        return
    height, width = images.shape[-2:]
    needed = large + (large - small) / (more - less) * (height * width - more)
    if needed > free:
        raise DataError(
            f"predict: expected an image whose maps fit into the {free:.0f} MiB that are free, got "
            f"{width}×{height}, which needs about {needed:.0f} MiB at once; set a sliding window, "
            "as in evaluation.window=[512,512]"
        )
