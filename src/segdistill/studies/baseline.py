"""The baseline of a seed: its plain run, or the mean of its plain runs where there are two."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from segdistill.config import AGAIN, PLAIN

S = TypeVar("S", bound=Hashable)
T = TypeVar("T")


def with_again(
    methods: Mapping[str, Mapping[S, Sequence[T]]],
) -> dict[str, Mapping[S, Sequence[T]]]:
    """Return values by method and seed, those of ``plain_again`` next to plain's.

    Args:
        methods: by method and seed, one value for each run.

    Returns:
        The same without ``plain_again``, unless there is no plain; a seed of plain has the values
        of all its plain runs that have ended.
    """
    own = {name: seeds for name, seeds in methods.items() if name != AGAIN}
    again = methods.get(AGAIN, {})
    if PLAIN not in own:
        return dict(methods)
    plain = own[PLAIN]
    seeds = dict.fromkeys([*plain, *again])
    return {**own, PLAIN: {seed: [*plain.get(seed, ()), *again.get(seed, ())] for seed in seeds}}
