"""Batches on their way to the device."""

from __future__ import annotations

from collections.abc import Callable

import torch

from segdistill.types import Batch

Send = Callable[[Batch], Batch]


def sender(device: torch.device) -> Send:
    """Return a function that sends batches to a device.

    A GPU gets them from pinned memory in a queue of its own, bytes as they are: while it works
    on one step, what is ahead of it on the host sends the batch of the next.

    Args:
        device: where to.
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
            tensor.record_stream(steps)  # else its memory could be given to the next copy
        return sent

    return send
