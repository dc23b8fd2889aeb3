"""The part of the global batch being computed, if a batch is computed in several parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Which images of the global batch are being computed.

    Attributes:
        places: positions of the images in the global batch, int64 ``(N,)``.
        images: number of images in the global batch.
        last: whether it is the step's last part in this process.
    """

    places: Tensor
    images: int
    last: bool


_current: ContextVar[Part | None] = ContextVar("part", default=None)


@contextmanager
def computing(part: Part) -> Iterator[None]:
    """Declare which part of the global batch the losses see inside the ``with`` block."""
    token = _current.set(part)
    try:
        yield
    finally:
        _current.reset(token)


def current_part() -> Part | None:
    """Return the part that is being computed, or None if none was declared."""
    return _current.get()


def ends_step() -> bool:
    """Return whether the images being computed are the last of the training step."""
    part = _current.get()
    return part is None or part.last
