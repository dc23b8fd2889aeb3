"""A setting: what one key of a config takes, what it does, and how that is said in words.

The tables of this package write a :class:`Setting` for every parameter of what their rows
name. Checks, messages, the reference files, the documentation and the schema for editors all
come from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

REQUIRED = Parameter.empty
"""The default of a setting that has none: it must be given."""


@dataclass(frozen=True)
class Setting:
    """What one key of a config takes and does.

    Attributes:
        type: made of ``bool``, ``int``, ``float``, ``str``, ``Path``, ``Literal``, tuples,
            string-keyed dicts and ``|``. A ``Literal`` lists the only values that are taken.
        default: the value where the key is not given, or ``REQUIRED``.
        help: what the setting does, in a few words.
        above: every number in the value is greater than this.
        at_least: every number in the value is this or greater.
        below: every number in the value is smaller than this.
        at_most: every number in the value is this or smaller.
        unit: of the value, empty where it has none.
        source: where the default comes from, empty where it is a choice of this package.
    """

    type: Any
    default: Any
    help: str
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    unit: str = ""
    source: str = ""

    @property
    def bounds(self) -> dict[str, float]:
        """The limits that are set, by the name of the attribute."""
        named = {name: getattr(self, name) for name in ("above", "at_least", "below", "at_most")}
        return {name: limit for name, limit in named.items() if limit is not None}

    @property
    def accepts(self) -> str:
        """What may be written, such as ``a number above 0``."""
        return accepted(self.type, self.bounds)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values that the type lists, none where any value of a kind is taken."""
        return tuple(_literals(self.type))


def accepted(type_: Any, bounds: Mapping[str, float] | None = None) -> str:
    """Return the values of a type within bounds, in words that complete "expected ...".

    Args:
        type_: see :class:`Setting`; also a class with ``model_fields``, which is a section.
        bounds: see :attr:`Setting.bounds`; those of an ``Annotated`` type are added.
    """
    bounds = bounds or {}
    origin, parts = get_origin(type_), get_args(type_)
    if origin is Annotated:
        said = accepted(parts[0], {**bounds, **_limits(type_.__metadata__)})
        never_empty = any(getattr(mark, "min_length", None) for mark in type_.__metadata__)
        return said.replace("a list of ", "one or more ") if never_empty else said
    if origin in (Union, UnionType):
        return " or ".join(accepted(part, bounds) for part in parts)
    if origin is Literal:
        return " or ".join(", ".join(map(str, parts)).rsplit(", ", 1))
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return f"a list of {_plural(parts[0], bounds)}"
        return f"{_COUNTS[len(parts)]} {_plural(parts[0], bounds)}"
    if origin is dict or type_ is dict:
        return "a mapping" if not parts or parts[1] is Any else "a mapping of names to values"
    if hasattr(type_, "model_fields"):
        keys = [key for key, field in type_.model_fields.items() if field.is_required()]
        return f"a section with {' and '.join(keys) or 'keys'}"
    return _WORDS[type_][0] + (_range(bounds) if type_ in (int, float) else "")


def _plural(type_: Any, bounds: Mapping[str, float]) -> str:
    if get_origin(type_) is Annotated:
        bounds = {**bounds, **_limits(type_.__metadata__)}
        type_ = get_args(type_)[0]
    return _WORDS[type_][1] + _range(bounds) if type_ in _WORDS else "values"


def _range(bounds: Mapping[str, float]) -> str:
    if set(bounds) == {"at_least", "at_most"}:
        return f" from {bounds['at_least']:g} to {bounds['at_most']:g}"
    said = {"above": "above", "at_least": "of at least", "below": "below", "at_most": "of at most"}
    limits = [f"{words} {bounds[name]:g}" for name, words in said.items() if name in bounds]
    return f" {' and '.join(limits)}" if limits else ""


def _limits(metadata: tuple[Any, ...]) -> dict[str, float]:
    """Return the bounds that annotations such as pydantic's carry."""
    names = {"gt": "above", "ge": "at_least", "lt": "below", "le": "at_most"}
    return {
        name: getattr(mark, attribute)
        for mark in metadata
        for attribute, name in names.items()
        if getattr(mark, attribute, None) is not None
    }


def _literals(type_: Any) -> Iterator[Any]:
    for part in get_args(type_):
        if get_origin(type_) is Literal:
            yield part
        else:
            yield from _literals(part)


_WORDS: dict[Any, tuple[str, str]] = {
    bool: ("true or false", "values true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    Path: ("a path", "paths"),
    NoneType: ("null", "nulls"),
    object: ("any value", "values"),
    Any: ("any value", "values"),
}
_COUNTS = {1: "one", 2: "two", 3: "three", 4: "four"}
