"""Docstrings as the Markdown of plain code hosts: sections, roles, code and equations."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

SECTIONS = ("Args", "Shape", "Returns", "Raises", "Source", "Attributes", "Yields")


def as_markdown(thing: object) -> str:
    """Return the docstring of a function, class or module as Markdown."""
    text = inspect.getdoc(thing) or ""
    text = re.sub(r":(?:func|class|meth|mod|data|attr|exc):`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text)
    text = re.sub(r"\.\. math::((?:\n(?:[ \t].*)?|.)*?)(?=\n\n\S|\Z)", _display, text)
    text = re.sub(r"(^\.\. code-block:: \w+|::)\n\n((?:    .*\n?|\n)+)", _code, text, flags=re.M)
    for heading in SECTIONS:
        text = re.sub(
            rf"^{heading}:\n((?:    .*\n?|\n)*)",
            lambda match, heading=heading: f"**{heading}**\n\n{_items(match[1])}\n",
            text,
            flags=re.M,
        )
    return text.strip() + "\n"


def signature(name: str, function: Callable[..., Any]) -> str:
    """Return how a function or class is called, one line for each parameter if they are many."""
    asked = inspect.signature(function)
    words: list[str] = []
    positional = True
    for parameter in asked.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and positional:
            words.append("*")
            positional = False
        words.append(_parameter(parameter))
    returned = asked.return_annotation
    end = "" if returned is asked.empty or inspect.isclass(function) else f" -> {_type(returned)}"
    line = f"{name}({', '.join(words)}){end}"
    if len(line) <= 88:
        return line
    return f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){end}"


def _parameter(parameter: inspect.Parameter) -> str:
    star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
    text = f"{star}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    default = getattr(parameter.default, "__name__", None) or repr(parameter.default)
    return f"{text} = {default}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _display(match: re.Match[str]) -> str:
    return f"$${' '.join(match[1].split())}$$"


def _code(match: re.Match[str]) -> str:
    before = ":" if match[1] == "::" else ""
    return f"{before}\n\n```python\n{textwrap.dedent(match[2]).strip()}\n```\n\n"


def _items(block: str) -> str:
    """Turn the lines of an Args or Raises block into a list, prose into a paragraph."""
    lines = textwrap.dedent(block).strip().splitlines()
    items: list[str] = []
    for line in lines:
        if line.startswith(" ") and items:
            items[-1] += f" {line.strip()}"
        else:
            items.append(line.strip())
    if all(re.match(r"[\w, ]+: ", item) for item in items):
        return "\n".join(f"- {item}" for item in items) + "\n"
    return " ".join(items) + "\n"
