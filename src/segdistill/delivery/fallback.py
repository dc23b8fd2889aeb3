"""Accuracy-aware quantisation: layers go back to float32 until a file is good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Holds = Callable[[Path], bool]
"""Returns whether a quantised file is good enough."""


@dataclass(frozen=True)
class Layers:
    """The layers of a quantised file.

    Attributes:
        floating: names of those that stayed in float32; none if only a file without any layer in
            8 bits would be good enough.
        order: names of all, in the order in which they are left in float32; empty where the file
            with every layer in 8 bits was good enough, or the only one possible.
    """

    floating: tuple[str, ...] = ()
    order: tuple[str, ...] = ()


def fall_back(
    write: Callable[[Sequence[str]], None],
    path: Path,
    rank: Callable[[], Sequence[str]],
    holds: Holds | None,
) -> Layers:
    """Leave layers in float32 until a file is good enough: one, then two, four, eight and so on.

    A file without any layer in 8 bits is none: where nothing else is good enough, that of all
    layers in 8 bits is written for the gate to judge.

    Args:
        write: writes the file with the layers named left in float32.
        path: the file.
        rank: returns the names of all layers, the most sensitive first.
        holds: returns whether the file is good enough; by default every file is.

    Returns:
        The layers that stayed in float32, and the order.
    """
    write(())
    if holds is None or holds(path):
        return Layers()
    order, count = tuple(rank()), 1
    while count < len(order):
        write(order[:count])
        if holds(path):
            return Layers(order[:count], order)
        count *= 2
    write(())
    return Layers(order=order)
