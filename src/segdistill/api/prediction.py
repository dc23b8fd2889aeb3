"""The prediction for one image: ids, names, shares and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from segdistill.config import EvaluationConfig
from segdistill.data.submission import overlay
from segdistill.network_state import device_of, evaluating
from segdistill.scoring.inference import predict, predict_ids
from segdistill.types import IGNORE_INDEX, Classes


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
    """
    tensor = torch.from_numpy(np.array(image, order="C")).permute(2, 0, 1)[None]
    views: dict[str, Any] = {
        "scales": settings.scales,
        "flip": settings.flip,
        "window": settings.window,
    }
    with evaluating(network), torch.inference_mode():
        images = tensor.to(device_of(network))
        if confidence:
            best = predict(network, images, **views).max(dim=1)
            ids = best.indices.to(torch.uint8)
            ids[best.values < confidence] = IGNORE_INDEX
        else:
            ids, _ = predict_ids(network, images, **views)
    array: np.ndarray = ids[0].cpu().numpy()
    return array
