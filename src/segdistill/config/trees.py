"""Configs as trees: reading YAML, overriding, merging, one tree per learner."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segdistill.config.sections import DataConfig, LossConfig, NetworkConfig, Tree, UnlabelledConfig
from segdistill.errors import ConfigError
from segdistill.yaml_text import load_yaml

_SELECTORS = {section.selector for section in (DataConfig, NetworkConfig, LossConfig)}
_SHARED_BY_DATASETS = {*DataConfig.model_fields, *UnlabelledConfig.model_fields}


def read_tree(file: Path) -> Tree:
    """Read a YAML file into a tree.

    Raises:
        ConfigError: there is no such file, or it is not a YAML mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: expected a config file, got {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: expected YAML in UTF-8") from None
    return parse_tree(text, str(file))


def parse_tree(text: str, name: str) -> Tree:
    """Parse YAML into a tree.

    Args:
        text: the YAML.
        name: its name in error messages.

    Raises:
        ConfigError: the text is not a YAML mapping.
    """
    try:
        tree = load_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: expected a mapping of sections, got {type(tree).__name__}")
    return tree


def override(tree: Tree, words: Sequence[str]) -> Tree:
    """Return the tree with ``a.b=value`` overrides applied in order; values are YAML.

    Raises:
        ConfigError: an override has no ``=``, or its path leads through a value that is not a
            section.
    """
    if isinstance(words, str | Mapping):
        raise ConfigError(
            f"overrides: expected a list such as ['training.lr=0.01'], got {words!r:.80}"
        )
    for word in words:
        path, equals, text = word.partition("=")
        if not equals or not path:
            raise ConfigError(f"override '{word}': expected key=value, such as training.lr=0.01")
        try:
            value = load_yaml(text)
        except ValueError as error:
            raise ConfigError(
                f"override '{word[:80]}': expected a YAML value after '=' ({error})"
            ) from None
        tree = _put(tree, path.split("."), value, word)
    return tree


def put(tree: Tree, path: str, value: Any) -> Tree:
    """Return the tree with a value set at the path ``a.b``, like an override.

    Raises:
        ConfigError: the path leads through a value that is not a section.
    """
    changed: Tree = _put(tree, path.split("."), value, f"{path}={value}")
    return changed


def merge(tree: Tree, overlay: Mapping[str, Any]) -> Tree:
    """Return the tree with the keys of an overlay; lists are replaced, not merged.

    Naming another ``network`` or ``loss`` replaces its whole sub-tree. Naming another
    ``dataset`` keeps the keys that all datasets share (crop, batch size, ...).
    """
    merged = dict(tree)
    for key in _SELECTORS & overlay.keys():
        if overlay[key] != merged.get(key):
            shared = _SHARED_BY_DATASETS if key == "dataset" else ()
            merged = {name: value for name, value in merged.items() if name in shared}
    for key, value in overlay.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def cohort(tree: Tree) -> dict[str, Tree]:
    """Split a tree with a ``cohort`` section into one tree per learner.

    ``cohort`` maps a learner's name to what differs from the rest of the file; a file without it
    has one learner, named ``""``.

    Raises:
        ConfigError: ``cohort`` is not a mapping of names to sections.
    """
    rest = {key: value for key, value in tree.items() if key != "cohort"}
    if "cohort" not in tree:
        return {"": rest}
    overlays = tree["cohort"]
    if not (isinstance(overlays, dict) and overlays):
        raise ConfigError("cohort: expected names of learners, each with the sections that differ")
    for name, overlay in overlays.items():
        if not (isinstance(overlay, dict) and isinstance(name, str)):
            raise ConfigError(f"cohort.{name}: expected sections such as distill or student")
        check_name(name, "cohort")
    return {name: merge(rest, overlay) for name, overlay in overlays.items()}


def check_name(name: str, where: str) -> None:
    """Refuse a name that cannot be the name of a folder.

    Raises:
        ConfigError: it has unsuitable characters, or would lead out of its folder.
    """
    if not re.fullmatch(r"[\w+-][\w.+-]*", name):
        raise ConfigError(
            f"{where}.{name}: expected a name of letters, digits and . + - _ only, because it "
            "becomes the name of a folder"
        )


def _put(tree: Any, path: Sequence[str], value: Any, word: str) -> Any:
    head, *rest = path
    if isinstance(tree, list):
        if not head.isdigit() or int(head) >= len(tree):
            raise ConfigError(
                f"override '{word}': expected an index from 0 to {len(tree) - 1}, got '{head}'"
            )
        index = int(head)
        below = _put(tree[index], rest, value, word) if rest else value
        return [*tree[:index], below, *tree[index + 1 :]]
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"override '{word}': expected a section before '.{head}', got {tree!r}")
    if rest:
        return {**tree, head: _put(tree.get(head), rest, value, word)}
    # Naming another row switches the section; a section that names none is only extended.
    switches = head in _SELECTORS and head in tree
    return merge(tree, {head: value}) if switches else {**tree, head: value}
