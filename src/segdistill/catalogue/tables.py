"""Tables of what a config may name, readable without importing torch.

A package's ``__init__`` holds one dict literal, such as ``LOSSES``. Its rows name their
target instead of importing it, and a row's settings are the parameters of the target's
signature, read from the source. So a config is checked, and ``--help`` answers, before
torch is loaded, and no default is written twice.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Entry:
    """One row of a table of constructors.

    Attributes:
        target: ``"module:attribute"``, relative to the package that owns the table.
        about: one sentence for lists and documentation.
        given: parameters that the program fills in (classes, channel counts), hence no
            settings of a config.
    """

    target: str
    about: str
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """One parameter of a target: what a config may write.

    Attributes:
        type: the annotation, evaluated.
        default: the default, or ``inspect.Parameter.empty`` where the setting is required.
    """

    type: Any
    default: Any


def load(package: str, target: str) -> Any:
    """Import and return a row's target.

    Args:
        package: full name of the package that owns the table.
        target: ``"module:attribute"``, relative to it.
    """
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(f"{package}.{module}"), attribute)


@cache
def settings(package: str, target: str, given: tuple[str, ...] = ()) -> dict[str, Setting]:
    """Return the settings of a row's target, in the order of its signature.

    The source is parsed, not imported. Annotations are made of builtins, ``Path``,
    ``Literal`` and ``|``; defaults are literals.

    Args:
        package: full name of the package that owns the table.
        target: ``"module:attribute"``; a function, or a class whose ``__init__`` is read.
        given: parameters that are no settings.

    Raises:
        LookupError: the module has no such function or class.
    """
    module, _, attribute = target.partition(":")
    signature = _find_signature(_source(f"{package}.{module}"), attribute)
    if signature is None:
        raise LookupError(f"{package}.{module}: expected a function or class {attribute}")
    positional = [*signature.posonlyargs, *signature.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(signature.defaults))
    defaults += [*signature.defaults, *signature.kw_defaults]
    found = {}
    for argument, default in zip([*positional, *signature.kwonlyargs], defaults, strict=True):
        if argument.arg in ("self", *given) or argument.annotation is None:
            continue
        kind = eval(ast.unparse(argument.annotation), {"Path": Path, "Literal": Literal})
        value = inspect.Parameter.empty if default is None else ast.literal_eval(default)
        found[argument.arg] = Setting(kind, value)
    return found


def _source(module: str) -> ast.Module:
    # Not find_spec, which would import the parent package and torch with it.
    root, *parts = module.split(".")
    file = Path(str(files(root))).joinpath(*parts).with_suffix(".py")
    if not file.is_file():
        raise LookupError(f"expected a module {module}")
    return ast.parse(file.read_text(encoding="utf-8"))


def _find_signature(tree: ast.Module, name: str) -> ast.arguments | None:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node.args
        if isinstance(node, ast.ClassDef) and node.name == name:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    return method.args
            return ast.arguments([], [], None, [], [], None, [])
    return None
