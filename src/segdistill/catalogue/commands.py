"""The commands of ``segdistill``: where each is, in the order of the overview."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One row of ``COMMANDS``.

    Its help, arguments and options are those of the function, which imports nothing heavy
    before it runs.

    Attributes:
        target: ``"module:function"`` in ``segdistill.cli``.
    """

    target: str


COMMANDS: dict[str, Command] = {
    "demo": Command("demo:demo"),
    "train": Command("train:train"),
    "distill": Command("distill:distill"),
    "evaluate": Command("evaluate:evaluate"),
    "predict": Command("predict:predict"),
    "study": Command("study:study"),
    "verify": Command("verify:verify"),
    "analyse": Command("analyse:analyse"),
    "report": Command("report:report"),
    "export": Command("export:export"),
    "init": Command("init:init"),
    "convert": Command("convert:convert"),
    "check": Command("check:check"),
    "pack": Command("pack:pack"),
    "bench cost": Command("bench:cost"),
    "bench latency": Command("bench:latency"),
    "list losses": Command("listing:losses"),
    "list networks": Command("listing:networks"),
    "list backbones": Command("listing:backbones"),
    "list heads": Command("listing:heads"),
    "list datasets": Command("listing:datasets"),
    "list analyses": Command("listing:analyses"),
    "list formats": Command("listing:formats"),
    "list conversions": Command("listing:conversions"),
    "list taps": Command("listing:taps"),
    "recipes list": Command("recipes:list_recipes"),
    "recipes copy": Command("recipes:copy_recipe"),
    "recipes schema": Command("recipes:schema"),
}
"""Commands by their words: of two words the first is a group."""

GROUPS: dict[str, str] = {
    "bench": "What networks cost.",
    "list": "What a config may name.",
    "recipes": "Run files that ship with segdistill.",
}
"""What each group of commands is about."""
