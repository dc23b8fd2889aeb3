"""Networks looked into: features and logits of a few images, one image at a time."""

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
    """What a network makes of one image.

    Attributes:
        features: of the tap ``(C, h, w)`` float32; the logits where no tap was asked for.
        logits: ``(K, h', w')`` float32 at the network's own stride.
    """

    features: Tensor
    logits: Tensor


def pick_images(dataset: SegDataset, *, most: int, most_pixels: int) -> list[int]:
    """Return places of images spread evenly over a dataset, fewer where they are large.

    Args:
        dataset: the images; the first says how large they are.
        most: most images.
        most_pixels: most pixels over all of them; four images are looked at even so.
    """
    height, width = dataset[0].image.shape[:2]
    count = min(len(dataset), most, max(4, most_pixels // (height * width)))
    return [(2 * place + 1) * len(dataset) // (2 * count) for place in range(count)]


def as_input(image: np.ndarray, settings: EvaluationConfig) -> Tensor:
    """Return an image as a network met it when it was scored: one float image ``(1, 3, H, W)``.

    Of several scales none is special: then the image is taken as it is.
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
    """Yield what a network makes of each image, in evaluation mode and on the CPU.

    Args:
        network: moved to the device.
        images: as :func:`as_input` returns them.
        tap: name or module path of the features.
        device: where to compute.

    Raises:
        ValueError: the network has no such tap.
    """
    network.to(device)
    taps = [] if tap is None else [tap]
    with torch.inference_mode(), evaluating(network), record(network, taps) as maps:
        for image in images:
            logits = network(image.to(device)).logits[0].float().cpu()
            yield Pass(logits if tap is None else maps[tap][0].float().cpu(), logits)
