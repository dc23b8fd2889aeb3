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

    from segdistill.config.loading import recipe_files

    files = recipe_files()
    about = {
        name: file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        for name, file in files.items()
    }
    if json:
        print(dumps(about))
        return
    width = max(map(len, files))
    for name, first in about.items():
        print(f"{name.ljust(width)}  {first}")
    print("next: segdistill recipes copy NAME run.yaml")


def copy_recipe(
    name: Annotated[str, typer.Argument(help="A recipe: segdistill recipes list.")],
    to: Annotated[Path | None, typer.Argument(help="File to write; <name>.yaml here.")] = None,
) -> None:
    """Copy a packaged run file, to be edited.

    Example: segdistill recipes copy camvid/students run.yaml
    """
    from segdistill.checks import nearest
    from segdistill.config.loading import recipe_files
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
