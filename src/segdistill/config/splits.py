"""Names of splits: one, or several that are joined, as in ``train+val``."""

from __future__ import annotations

from segdistill.errors import ConfigError

SIGN = "+"
"""Between the names of splits that are joined."""


def split_names(split: str) -> list[str]:
    """Return the names that a split joins, one where it joins none.

    Raises:
        ConfigError: a name is empty or repeated.
    """
    names = split.split(SIGN)
    if "" in names or len(set(names)) < len(names):
        raise ConfigError(f"expected a split, or different ones as train{SIGN}val, got {split!r}")
    return names


def shared_splits(first: str, second: str) -> list[str]:
    """Return the splits that two have in common."""
    others = split_names(second)
    return [name for name in split_names(first) if name in others]
