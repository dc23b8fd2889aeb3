"""The commands of ``segdistill``, in the order of the overview.

Each is a file of ``segdistill.cli`` with a function of the same name, called like the words that
are typed: ``bench cost`` is ``bench_cost`` in ``bench_cost.py``. Help, arguments and options come
from the function, whose file imports nothing heavy.
"""

from __future__ import annotations

COMMANDS: tuple[str, ...] = (
    "demo",
    "train",
    "distill",
    "evaluate",
    "predict",
    "study",
    "search",
    "replay",
    "verify",
    "analyse",
    "report",
    "export",
    "choose",
    "ui",
    "init",
    "convert",
    "check",
    "pack",
    "bench cost",
    "bench latency",
    "bench energy",
    "list losses",
    "list networks",
    "list backbones",
    "list heads",
    "list datasets",
    "list analyses",
    "list formats",
    "list conversions",
    "list taps",
    "recipes list",
    "recipes copy",
    "recipes schema",
)
"""The words of each command; the first of two words is a group."""

GROUPS: dict[str, str] = {
    "bench": "What networks cost.",
    "list": "What a config may name.",
    "recipes": "Run files that ship with segdistill.",
}
"""Help text of each command group."""


def target(words: str) -> str:
    """Return a command's ``"module:function"`` in ``segdistill.cli``."""
    name = words.replace(" ", "_")
    return f"{name}:{name}"
