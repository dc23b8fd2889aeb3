"""Copying batches to the device."""

from __future__ import annotations

from collections.abc import Callable

import torch

from segdistill.types import Batch

Send = Callable[[Batch], Batch]


def sender(device: torch.device) -> Send:
    """Return a function that copies batches to a device.

    A GPU copies them from pinned memory in a stream of its own, as bytes. The host runs ahead of
    the GPU, so the batch of the next step is copied during the step before.

    Args:
        device: the device.
    """
    if device.type != "cuda":
        return lambda batch: Batch(*(tensor.to(device) for tensor in batch))
    copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(batch: Batch) -> Batch:
        with torch.cuda.stream(copies):
            pinned = [tensor.pin_memory() for tensor in batch]
            sent = Batch(*(tensor.to(device, non_blocking=True) for tensor in pinned))
        steps = torch.cuda.current_stream(device)
        steps.wait_stream(copies)
        for tensor in sent:
            tensor.record_stream(steps)  # otherwise the next copy could reuse its memory
        return sent

    return send
