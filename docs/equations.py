"""Equations as MathML, which browsers draw themselves: a Markdown extension for the site.

``pymdownx.arithmatex`` finds ``$...$`` and ``$$...$$``; its elements are replaced here.
"""

from __future__ import annotations

import html
from typing import Any
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element
from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

UNKNOWN_TO_THE_CONVERTER = {r"\arg": "arg", r"\|": "‖"}


class MathML(Treeprocessor):
    """Replace every element that holds LaTeX by its MathML."""

    def run(self, root: Element) -> None:
        for parent in list(root.iter()):
            for place, child in enumerate(list(parent)):
                if child.get("class") == "arithmatex":
                    parent[place] = _mathml(child)


class Equations(Extension):
    """Run :class:`MathML` when all inline elements are known."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name of the interface
        md.treeprocessors.register(MathML(md), "mathml", 1)


def makeExtension(**settings: Any) -> Equations:  # noqa: N802 - the name of the interface
    """Return the extension; Python-Markdown calls this."""
    return Equations(**settings)


def _mathml(found: Element) -> Element:
    """Return an element of arithmatex, ``\\(...\\)`` or ``\\[...\\]``, as MathML."""
    latex = (found.text or "")[2:-2].strip()
    math = convert_to_element(latex, display="block" if found.tag == "div" else "inline")
    for element in math.iter():
        text = html.unescape(element.text or "")
        element.text = UNKNOWN_TO_THE_CONVERTER.get(text, text)
        if element.text.startswith("\\"):
            raise ValueError(
                f"equations: expected LaTeX that can be converted, got {text} in {latex}; "
                "write it otherwise"
            )
    math.tail = found.tail
    return math
