"""Which code may run: what the person named, never what a file brings along.

A network's name may stand for code: ``import:package.module:function`` runs Python,
``file:teacher.pt2`` a compiled program. Written by the person, such a name is an order.
Inside an artefact (the metadata of weights, the config of a run folder or study) it is data,
and counts only where the person named the same target.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from segdistill.errors import ConfigError

CODE = "import:"
PROGRAM = "file:"


def program_name(file: Path) -> str:
    """Return the target that stands for a compiled program."""
    return f"{PROGRAM}{file}"


def named(tree: Any) -> Iterator[str]:
    """Yield every string of a tree that names code, wherever it stands."""
    if isinstance(tree, str):
        if tree.startswith((CODE, PROGRAM)):
            yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from named(value)
    elif isinstance(tree, Iterable):
        for value in tree:
            yield from named(value)


def own_words(tree: Any, trust: Iterable[str] = ()) -> frozenset[str]:
    """Return what a person allows who wrote this tree and trusts these targets beside."""
    return frozenset([*named(tree), *trust])


def check_targets(trust: Iterable[str]) -> tuple[str, ...]:
    """Return the targets that ``--trust`` or ``trust`` names.

    Raises:
        ConfigError: one is no ``import:`` or ``file:`` name.
    """
    targets = tuple(trust)
    for target in targets:
        if not (isinstance(target, str) and target.startswith((CODE, PROGRAM))):
            raise ConfigError(
                f"trust: expected import:package.module:function or file:PATH, got {target!r}"
            )
    return targets


def check_from_file(
    network: object, trusted: Collection[str], source: str | Path, what: str = "network"
) -> None:
    """Refuse code that an artefact names and the person did not.

    Args:
        network: the name in the artefact, of a network, loss or dataset.
        trusted: targets that the person named; see :func:`own_words`.
        source: the artefact.
        what: the name is of, for the message.

    Raises:
        ConfigError: the name is code, and not among them.
    """
    if isinstance(network, str) and network.startswith((CODE, PROGRAM)) and network not in trusted:
        raise ConfigError(
            f"{source}: expected a {what} of segdistill or of a library, got {network}, code "
            f"that this file names but you have not trusted; {_how(network)}"
        )


def check_programs(tree: Any, trust: Collection[str], source: str | Path) -> None:
    """Refuse compiled programs that are named like weights but not trusted in so many words.

    Raises:
        ConfigError: a ``file:`` target of the tree is not among those trusted.
    """
    for target in named(tree):
        if target.startswith(PROGRAM) and target not in trust:
            raise ConfigError(
                f"{source}: expected trust in {target} beside its name: a TorchScript or .pt2 "
                f"file is a program, not weights alone, and can write files when it is loaded; "
                f"{_how(target)}"
            )


def _how(target: str) -> str:
    return (
        f"if you know what it does, allow it with --trust {target} (in a config trust: "
        f'["{target}"], in Python trust=["{target}"])'
    )
