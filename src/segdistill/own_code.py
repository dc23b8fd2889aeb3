"""Code of one's own that a config or a command names, imported; see :mod:`segdistill.trust`."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from segdistill.checks import nearest
from segdistill.errors import ConfigError
from segdistill.trust import CODE


def import_own(target: str, what: str) -> Callable[..., Any]:
    """Return the function or class that ``import:package.module:function`` names.

    Args:
        target: with or without ``import:``.
        what: it is, such as ``loss``, for the message.

    Raises:
        ConfigError: there is no such module, it is not Python, or it has nothing of that name
            that can be called.
    """
    name = target.removeprefix(CODE)
    who = f"{what} {CODE}{name}"
    module_name, _, attribute = name.partition(":")
    if not attribute:
        raise ConfigError(f"{who}: expected package.module:function, got no function")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{who}: expected a module {module_name}, got: {error}; install its package, or run "
            "from the folder that holds it with PYTHONPATH=."
        ) from error
    except SyntaxError as error:
        raise _not_python(error, who) from error
    return _attribute(vars(module), attribute, module_name, who)


def load_own(file: Path, attribute: str, what: str) -> Callable[..., Any]:
    """Return the function or class of a Python file, whose folder is searched for its imports.

    Raises:
        ConfigError: there is no such file, it is not Python, or it has nothing of that name that
            can be called.
    """
    who = f"{what} {file}:{attribute}"
    if not file.is_file():
        raise ConfigError(f"{who}: expected a Python file, got none; name FILE.py:FUNCTION")
    spec = spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{who}: expected a Python file, got {file.name}")
    module = module_from_spec(spec)
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise _not_python(error, who) from error
    finally:
        sys.path.pop(0)
    return _attribute(vars(module), attribute, file.name, who)


def check_settings(
    function: Callable[..., Any], settings: Mapping[str, Any], given: Iterable[str], who: str
) -> None:
    """Refuse settings that a signature has not, or lacks.

    Args:
        function: of the person's own.
        settings: that a config gives it.
        given: parameters that the program fills in.
        who: begins the message.

    Raises:
        ConfigError: names the first, and the nearest that there is.
    """
    parameters = inspect.signature(function).parameters
    own = {key: each for key, each in parameters.items() if key not in set(given)}
    takes_all = any(each.kind is each.VAR_KEYWORD for each in own.values())
    for key in settings:
        if key not in own and not takes_all:
            answer = nearest(key, own) if own else "it has none"
            raise ConfigError(f"{who}: expected one of its settings, got '{key}'; {answer}")
    for key, each in own.items():
        variable = each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
        if each.default is each.empty and not variable and key not in settings:
            raise ConfigError(f"{who}: expected its setting '{key}', got none; add {key}")


def _not_python(error: SyntaxError, who: str) -> ConfigError:
    return ConfigError(
        f"{who}: expected Python, got {error.msg} in {error.filename}, line {error.lineno}: "
        f"{(error.text or '').strip()}; correct it"
    )


def _attribute(
    names: Mapping[str, Any], attribute: str, module: str, who: str
) -> Callable[..., Any]:
    if attribute not in names:
        public = [name for name in names if not name.startswith("_")]
        raise ConfigError(
            f"{who}: expected a function of {module}, got '{attribute}'; "
            f"{nearest(attribute, public)}"
        )
    found = names[attribute]
    if not callable(found):
        raise ConfigError(
            f"{who}: expected a function or class, got {type(found).__name__}; name another"
        )
    return found  # type: ignore[no-any-return]
