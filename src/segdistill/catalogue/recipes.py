"""The files for runs, studies and searches that ship with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """One packaged file.

    Attributes:
        file: its location.
        about: its first line without the comment sign.
        kind: ``run`` for train and distill, ``study`` for study, ``search`` for search.
    """

    file: Traversable
    about: str
    kind: Literal["run", "study", "search"]


def recipes() -> dict[str, Recipe]:
    """Return the packaged files by name, such as ``camvid/teacher``."""
    return {
        name: Recipe(
            file,
            file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# "),
            kind_of(name),
        )
        for name, file in recipe_files().items()
    }


def kind_of(name: str) -> Literal["run", "study", "search"]:
    """Return which command a packaged file is for, by its folder."""
    if name.startswith("studies/"):
        return "study"
    return "search" if name.startswith("searches/") else "run"


def recipe_files() -> dict[str, Traversable]:
    """Return the packaged files by name, without reading them."""
    recipes: dict[str, Traversable] = {}
    folders = [("", files("segdistill") / "recipes")]
    for prefix, folder in folders:
        for entry in sorted(folder.iterdir(), key=lambda item: item.name):
            if entry.is_dir() and not entry.name.startswith("__"):
                folders.append((f"{prefix}{entry.name}/", entry))
            elif entry.name.endswith(".yaml"):
                recipes[prefix + entry.name.removesuffix(".yaml")] = entry
    return recipes
