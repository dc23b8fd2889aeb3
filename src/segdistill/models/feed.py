"""What a network is fed: the images behind its own normalisation, in numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segdistill.models.foreign.adapter import Adapter


def describe_feed(network: nn.Module, images: Tensor) -> str:
    """Say what a network computes on, for a person to compare with how it was trained.

    Args:
        network: with buffers ``mean`` and ``std``, or an adapter without.
        images: real ones.

    Shape:
        images ``(N, 3, H, W)`` in [0, 1].

    Returns:
        Range, mean and standard deviation by channel after the normalisation, and the order of
        the channels.
    """
    buffers = dict(network.named_buffers(recurse=False))
    mean, std = buffers.get("mean"), buffers.get("std")
    how = "as they are"
    if mean is not None and std is not None:
        images, how = (images - mean) / std, "normalised"
    order = network.adaptation.channel_order if isinstance(network, Adapter) else "rgb"
    if order == "bgr":
        images = images.flip(1)
    values = images.transpose(0, 1).flatten(start_dim=1).float()
    means, deviations = (_listed(each) for each in (values.mean(dim=1), values.std(dim=1)))
    return (
        f"is fed {order.upper()} images {how}: {values.min():.2f} to {values.max():.2f}, mean "
        f"{means}, standard deviation {deviations}"
    )


def _listed(values: torch.Tensor) -> str:
    return ", ".join(f"{value:.2f}" for value in values.tolist())
