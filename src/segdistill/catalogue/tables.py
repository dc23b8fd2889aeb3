"""Rows of the tables: the name of a constructor, its settings and a description.

A table is one dict literal. Its rows name their target instead of importing it, so that a
config is checked, and ``--help`` answers, before torch is loaded. A test compares the settings
of every row with the signature of its target.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from segdistill.catalogue.settings import Setting


@dataclass(frozen=True)
class Entry:
    """One row of a table of constructors.

    Attributes:
        target: ``"module:attribute"``, relative to the package that owns the target.
        about: one sentence for lists and documentation.
        settings: what a config may write, in the order of the target's signature.
        given: parameters that the program fills in (classes, channel counts), which are
            therefore not settings of a config.
        bibtex: BibTeX entry of its paper, if ``reporting/references.bib`` has none.
    """

    target: str
    about: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    bibtex: str = ""


def load(package: str, target: str) -> Any:
    """Import and return a row's target.

    Args:
        package: full name of the package that owns the target.
        target: ``"module:attribute"``, relative to it.
    """
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(f"{package}.{module}"), attribute)
