"""Cost: parameters and arithmetic operations of a config's networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from torch import nn

from segdistill.api.untrained import untrained
from segdistill.config.loading import LoadedConfig, load_config
from segdistill.delivery.cost import Cost, count, count_as_cirkd
from segdistill.errors import ConfigError


def cost(
    source: str | Path | LoadedConfig,
    size: tuple[int, int],
    *,
    counter: Literal["torch", "cirkd"] = "torch",
    auxiliary: bool = False,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
) -> dict[str, Cost]:
    """Count parameters and arithmetic operations of a config's teacher and students.

    Example::

        segdistill.cost("camvid/students", (360, 480))["teacher"].params

    Args:
        source: config file or recipe; no weights are read, and data only if the classes of the
            dataset depend on them.
        size: height and width of the image.
        counter: ``torch``, or ``cirkd`` for that paper's way of counting.
        auxiliary: count auxiliary heads too, as some papers do; ``cirkd`` always does.
        overrides: overrides of the form ``a.b=value``.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.

    Returns:
        Cost by ``teacher`` and ``student``, or by the learners' names if these differ.

    Raises:
        ConfigError: the config cannot be run, or the counter is unknown.
        ValueError: a network does not run on an image of this size.
    """
    counters: dict[str, Callable[[nn.Module, tuple[int, int]], Cost]] = {
        "torch": partial(count, auxiliary=auxiliary),
        "cirkd": count_as_cirkd,
    }
    if counter not in counters:
        raise ConfigError(f"cost: expected counter torch or cirkd, got '{counter}'")
    networks = untrained(load_config(source, overrides, trust=trust).learners)
    return {name: counters[counter](network, size) for name, network in networks.items()}
