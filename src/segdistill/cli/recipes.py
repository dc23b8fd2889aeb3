"""``segdistill recipes``: run files that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdistill.cli.words import Json


def list_recipes(json: Json = False) -> None:
    """List the packaged run files.

    Example: segdistill recipes list
    """
    from json import dumps

    from segdistill.catalogue.recipes import recipes

    about = {name: recipe.about for name, recipe in recipes().items()}
    if json:
        print(dumps(about))
        return
    width = max(map(len, about))
    for name, sentence in about.items():
        print(f"{name.ljust(width)}  {sentence}")
    print("next: segdistill recipes copy NAME run.yaml")


def copy_recipe(
    name: Annotated[str, typer.Argument(help="A recipe: segdistill recipes list.")],
    to: Annotated[Path | None, typer.Argument(help="File to write; <name>.yaml here.")] = None,
) -> None:
    """Copy a packaged run file, to be edited.

    Example: segdistill recipes copy camvid/students run.yaml
    """
    from segdistill.catalogue.recipes import recipe_files
    from segdistill.checks import nearest
    from segdistill.errors import ConfigError
    from segdistill.files import claim, write_whole

    files = recipe_files()
    if name not in files:
        raise ConfigError(f"there is no recipe '{name}'; {nearest(name, files)}")
    file = to or Path(f"{name.rpartition('/')[2]}.yaml")
    # A copy is there to be edited: it carries no mark that would let it be written over.
    claim("recipes copy", [file])
    write_whole(file, files[name].read_text(encoding="utf-8"))
    following = f"study {file} --dry-run" if name.startswith("studies/") else f"check {file}"
    print(f"{file} written; next: segdistill {following}")


def schema() -> None:
    """Print the JSON schema of run and study files, for editors.

    Name it in the first line of a file, and an editor with yaml-language-server completes and
    checks what you type: # yaml-language-server: $schema=segdistill.schema.json

    Example: segdistill recipes schema > segdistill.schema.json
    """
    from json import dumps

    from segdistill.config.schema import file_schema

    print(dumps(file_schema(), indent=2))
