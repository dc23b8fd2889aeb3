"""YAML that cannot grow: bounded in size, nesting, aliases and numbers, of the types of JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import yaml

MOST_CHARACTERS = 1_000_000
MOST_NODES = 50_000
"""Values in a document with its aliases written out; a study of 40 methods has about 2,000."""
MOST_LEVELS = 40
MOST_BITS = 63
_TOO_MANY = f"expected at most {MOST_NODES:,} values, aliases written out, got more"


def load_yaml(text: str) -> Any:
    """Parse one YAML document into dicts, lists, text, numbers, truth values and None.

    A date is text. A tag names one of these types, and the value has to be of it.

    Raises:
        ValueError: it is no YAML, of another type, or larger, deeper or with larger numbers than
            configs are; one line.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"expected at most {MOST_CHARACTERS:,} characters, got {len(text):,}")
    try:
        return _construct(text)
    except yaml.YAMLError as error:
        raise ValueError(f"expected YAML, got {' '.join(str(error).split())}") from None


def _construct(text: str) -> Any:
    loader = _Loader(text)  # refuses characters that no YAML holds
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """The safe loader, which stops at a nesting that no config has and at huge integers."""

    level = 0
    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.level += 1
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise ValueError(_TOO_MANY)
        if self.level > MOST_LEVELS:
            raise ValueError(f"expected at most {MOST_LEVELS} levels of nesting, got more")
        node = super().compose_node(parent, index)
        self.level -= 1
        if isinstance(node, yaml.MappingNode):
            _refuse_repeated_keys(node)
        return node


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    # YAML's own rule, which the library does not keep: the last would count, without a word.
    keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
    repeated = next((key for key, count in keys.items() if count > 1), None)
    if repeated is not None:
        line = node.start_mark.line + 1
        raise ValueError(
            f"expected each key once in the mapping at line {line}, got '{repeated}' several times"
        )


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    # Python itself takes quadratic time for digits, and refuses to print more than 4,300.
    short = len(node.value) <= 100
    value = _read(yaml.SafeLoader.construct_yaml_int, loader, node) if short else 1 << 64
    if abs(value).bit_length() > MOST_BITS:
        shown = node.value if len(node.value) < 40 else f"{node.value[:20]}..."
        raise ValueError(f"expected integers of at most {MOST_BITS} bits, got {shown}")
    return int(value)


def _truth(loader: _Loader, node: yaml.ScalarNode) -> Any:
    return _read(yaml.SafeLoader.construct_yaml_bool, loader, node)


def _number(loader: _Loader, node: yaml.ScalarNode) -> Any:
    return _read(yaml.SafeLoader.construct_yaml_float, loader, node)


def _read(
    construct: Callable[[_Loader, yaml.ScalarNode], Any], loader: _Loader, node: yaml.ScalarNode
) -> Any:
    """Return a value; the library raises what its parts happen to raise where a tag misleads it."""
    try:
        return construct(loader, node)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise ValueError(
            f"expected a value of the type that its tag {node.tag.replace(_TYPES, '!!')} names at "
            f"line {node.start_mark.line + 1}, got {node.value[:40]!r}"
        ) from None


_TYPES = "tag:yaml.org,2002:"
_Loader.yaml_constructors = {
    f"{_TYPES}int": _integer,
    f"{_TYPES}float": _number,
    f"{_TYPES}bool": _truth,
    f"{_TYPES}null": yaml.SafeLoader.construct_yaml_null,
    f"{_TYPES}str": yaml.SafeLoader.construct_yaml_str,
    f"{_TYPES}seq": yaml.SafeLoader.construct_yaml_seq,
    f"{_TYPES}map": yaml.SafeLoader.construct_yaml_map,
    None: yaml.SafeLoader.construct_undefined,
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != f"{_TYPES}timestamp"]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for with its aliases written out."""
    if id(node) in known:
        if known[id(node)] < 0:
            raise ValueError("expected values that end, got an alias of what it stands in")
        return known[id(node)]
    known[id(node)] = -1
    total = 1
    if isinstance(node, yaml.SequenceNode):
        total += sum(_count(value, known) for value in node.value)
    elif isinstance(node, yaml.MappingNode):
        total += sum(_count(key, known) + _count(value, known) for key, value in node.value)
    if total > MOST_NODES:
        raise ValueError(_TOO_MANY)
    known[id(node)] = total
    return total
