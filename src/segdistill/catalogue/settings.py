"""A setting: what one key of a config accepts and does, and how messages describe it.

The tables of this package hold a :class:`Setting` for every parameter of the object that a row
names. Checks, messages, the reference files, the documentation and the schema for editors are
all derived from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

REQUIRED = Parameter.empty
"""Marks a setting that has no default and must be given."""


@dataclass(frozen=True)
class Setting:
    """What one key of a config accepts and does.

    Attributes:
        type: made of ``bool``, ``int``, ``float``, ``str``, ``Path``, ``Literal``, tuples,
            string-keyed dicts and ``|``. A ``Literal`` lists the only values that are accepted.
        default: the value if the key is not given, or ``REQUIRED``.
        help: what the setting does, in a few words.
        above: every number in the value is greater than this.
        at_least: every number in the value is this or greater.
        below: every number in the value is smaller than this.
        at_most: every number in the value is this or smaller.
        unit: unit of the value, empty if it has none.
        source: where the default comes from, empty if it was chosen for this package.
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
        """The limits that are set, keyed by attribute name."""
        named = {name: getattr(self, name) for name in ("above", "at_least", "below", "at_most")}
        return {name: limit for name, limit in named.items() if limit is not None}

    @property
    def accepts(self) -> str:
        """Description of the accepted values, such as ``a number above 0``."""
        return accepted(self.type, self.bounds)

    @property
    def line(self) -> str:
        """The one-line description that reference files and editors show."""
        unit = f" ({self.unit})" if self.unit else ""
        source = f" ({self.source})" if self.source else ""
        default = "" if self.default is REQUIRED else f"; default {as_yaml(self.default)}{source}"
        return f"{self.help}. Takes {self.accepts}{unit}{default}"

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values that the type lists; empty if it does not restrict them."""
        return tuple(_literals(self.type))


def as_yaml(value: Any) -> str:
    """Return a default as it would be written in a config."""
    if value is None or value is REQUIRED:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {as_yaml(item)}' for key, item in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(as_yaml, value))}]"
    return str(value)


def accepted(type_: Any, bounds: Mapping[str, float] | None = None) -> str:
    """Describe the accepted values of a type, worded to follow "expected ...".

    Args:
        type_: see :class:`Setting`; a class with ``model_fields`` (a section) is accepted too.
        bounds: see :attr:`Setting.bounds`; the bounds of an ``Annotated`` type are added.
    """
    bounds = bounds or {}
    origin, parts = get_origin(type_), get_args(type_)
    if origin is Annotated:
        description = accepted(parts[0], {**bounds, **_limits(type_.__metadata__)})
        never_empty = any(getattr(mark, "min_length", None) for mark in type_.__metadata__)
        return description.replace("a list of ", "one or more ") if never_empty else description
    if origin in (Union, UnionType):
        return " or ".join(accepted(part, bounds) for part in parts)
    if origin is Literal:
        return " or ".join(", ".join(map(str, parts)).rsplit(", ", 1))
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return f"a list of {_plural(parts[0], bounds)}"
        return f"{_COUNTS[len(parts)]} {_plural(parts[0], bounds)}"
    if origin is dict or type_ is dict:
        if not parts or parts[1] is Any:
            return "a section"
        sections = hasattr(parts[1], "model_fields")
        return f"a mapping of names to {'sections' if sections else 'values'}"
    if hasattr(type_, "model_fields"):
        keys = [key for key, field in type_.model_fields.items() if field.is_required()]
        such_as = f"keys such as {next(iter(type_.model_fields))}"
        return f"a section with {' and '.join(keys) or such_as}"
    return _WORDS[type_][0] + (_range(bounds) if type_ in (int, float) else "")


def _plural(type_: Any, bounds: Mapping[str, float]) -> str:
    if get_origin(type_) is Annotated:
        bounds = {**bounds, **_limits(type_.__metadata__)}
        type_ = get_args(type_)[0]
    origin = get_origin(type_)
    if origin in (Union, UnionType) and bool not in get_args(type_):
        *first, last = (_plural(part, bounds) for part in get_args(type_))
        return f"{', '.join(first)} or {last}"
    if origin in (dict, tuple):
        return "sections" if origin is dict else "lists"
    if type_ not in _WORDS:
        return "values"
    return _WORDS[type_][1] + (_range(bounds) if type_ in (int, float) else "")


def _range(bounds: Mapping[str, float]) -> str:
    if set(bounds) == {"at_least", "at_most"}:
        return f" from {bounds['at_least']:g} to {bounds['at_most']:g}"
    words = {"above": "above", "at_least": "at least", "below": "below", "at_most": "at most"}
    limits = [f"{words[name]} {bounds[name]:g}" for name in words if name in bounds]
    of = "of " if limits and limits[0].startswith("at") else ""
    return f" {of}{' and '.join(limits)}" if limits else ""


def _limits(metadata: tuple[Any, ...]) -> dict[str, float]:
    """Return the bounds held by the metadata of an annotation, such as pydantic's."""
    names = {"gt": "above", "ge": "at_least", "lt": "below", "le": "at_most"}
    # A pydantic FieldInfo keeps its bounds in a metadata list of its own.
    marks = [inner for mark in metadata for inner in getattr(mark, "metadata", (mark,))]
    return {
        name: getattr(mark, attribute)
        for mark in marks
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
    str: ("a string", "strings"),
    Path: ("a path", "paths"),
    NoneType: ("null", "nulls"),
    object: ("any value", "values"),
    Any: ("any value", "values"),
}
_COUNTS = {1: "one", 2: "two", 3: "three", 4: "four"}
