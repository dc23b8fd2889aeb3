"""The part of the global batch that is being computed, where a batch is computed in several."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Which images of the global batch are being computed.

    Attributes:
        places: of the images in the global batch, int64 ``(N,)``.
        images: in the global batch.
        last: it is the step's last part in this process.
    """

    places: Tensor
    images: int
    last: bool


_current: ContextVar[Part | None] = ContextVar("part", default=None)


@contextmanager
def computing(part: Part) -> Iterator[None]:
    """Say which part of the global batch the losses see inside the block."""
    token = _current.set(part)
    try:
        yield
    finally:
        _current.reset(token)


def current_part() -> Part | None:
    """Return the part that is being computed, None where nobody said."""
    return _current.get()


def ends_step() -> bool:
    """Return whether a step of training ends with the images that are being computed."""
    part = _current.get()
    return part is None or part.last
