"""Names of splits: one split, or several joined as in ``train+val``."""

from __future__ import annotations

from segdistill.errors import ConfigError

SIGN = "+"
"""The sign that joins the names of splits."""


def split_names(split: str) -> list[str]:
    """Return the names joined in a split, or its only name.

    Raises:
        ConfigError: a name is empty or repeated.
    """
    names = split.split(SIGN)
    if "" in names or len(set(names)) < len(names):
        raise ConfigError(
            f"expected a split, or distinct ones joined as train{SIGN}val, got {split!r}"
        )
    return names


def shared_splits(first: str, second: str) -> list[str]:
    """Return the splits that two names have in common."""
    others = split_names(second)
    return [name for name in split_names(first) if name in others]
