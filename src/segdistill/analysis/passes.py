"""Features and logits of a few images, one image at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.config import EvaluationConfig
from segdistill.models.taps import record
from segdistill.network_state import evaluating
from segdistill.types import SegDataset


class Pass(NamedTuple):
    """The outputs of a network for one image.

    Attributes:
        features: features of the tap ``(C, h, w)`` float32; the logits without a tap.
        logits: ``(K, h', w')`` float32 at the network's own stride.
    """

    features: Tensor
    logits: Tensor


def pick_images(dataset: SegDataset, *, most: int, most_pixels: int) -> list[int]:
    """Return indices of images spread evenly over a dataset, fewer if they are large.

    Args:
        dataset: the images, whose size is taken from the first one.
        most: maximum number of images.
        most_pixels: maximum number of pixels in all, but at least four images are used.
    """
    height, width = dataset[0].image.shape[:2]
    count = min(len(dataset), most, max(4, most_pixels // (height * width)))
    return [(2 * place + 1) * len(dataset) // (2 * count) for place in range(count)]


def as_input(image: np.ndarray, settings: EvaluationConfig) -> Tensor:
    """Return an image as the network input during scoring, a float image ``(1, 3, H, W)``.

    With several scales the image is used at its own size.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
    scale = settings.scales[0] if len(settings.scales) == 1 else 1.0
    if scale == 1.0:
        return tensor
    size = round(scale * tensor.shape[-2]), round(scale * tensor.shape[-1])
    return F.interpolate(tensor, size, mode="bilinear", antialias=scale < 1)


def passes(
    network: nn.Module, images: Sequence[Tensor], tap: str | None, device: torch.device
) -> Iterator[Pass]:
    """Yield a network's outputs for each image, in evaluation mode and on the CPU.

    Args:
        network: the network, which is moved to the device.
        images: as :func:`as_input` returns them.
        tap: name or module path of the features.
        device: the device to compute on.

    Raises:
        ValueError: the network has no such tap.
    """
    network.to(device)
    taps = [] if tap is None else [tap]
    with torch.inference_mode(), evaluating(network), record(network, taps) as maps:
        for image in images:
            logits = network(image.to(device)).logits[0].float().cpu()
            yield Pass(logits if tap is None else maps[tap][0].float().cpu(), logits)
