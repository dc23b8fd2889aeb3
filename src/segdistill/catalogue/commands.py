"""The commands of ``segdistill``, in the order of the overview.

Each is a file of ``segdistill.cli`` and a function in it, named as the words that one types:
``bench cost`` is ``bench_cost.py`` with ``bench_cost``. Help, arguments and options are those of
the function, which imports nothing heavy before it runs.
"""

from __future__ import annotations

COMMANDS: tuple[str, ...] = (
    "demo",
    "train",
    "distill",
    "evaluate",
    "predict",
    "study",
    "verify",
    "analyse",
    "report",
    "export",
    "choose",
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
"""Commands by their words: of two words the first is a group."""

GROUPS: dict[str, str] = {
    "bench": "What networks cost.",
    "list": "What a config may name.",
    "recipes": "Run files that ship with segdistill.",
}
"""What each group of commands is about."""


def target(words: str) -> str:
    """Return ``"module:function"`` in ``segdistill.cli`` of a command."""
    name = words.replace(" ", "_")
    return f"{name}:{name}"
