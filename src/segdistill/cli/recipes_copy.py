"""``segdistill recipes copy``: a packaged run file for editing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def recipes_copy(
    name: Annotated[str, typer.Argument(help="A recipe: segdistill recipes list.")],
    to: Annotated[Path | None, typer.Argument(help="File to write; default <name>.yaml.")] = None,
) -> None:
    """Copy a packaged run file for editing.

    Example: segdistill recipes copy camvid/students run.yaml
    """
    from segdistill.catalogue.recipes import kind_of, recipe_files
    from segdistill.checks import nearest
    from segdistill.errors import ConfigError
    from segdistill.files import claim, write_whole

    files = recipe_files()
    if name not in files:
        raise ConfigError(f"there is no recipe '{name}'; {nearest(name, files)}")
    file = to or Path(f"{name.rpartition('/')[2]}.yaml")
    # A copy is for editing, so it has no mark that would allow it to be overwritten.
    claim("recipes copy", [file])
    write_whole(file, files[name].read_text(encoding="utf-8"))
    kind = kind_of(name)
    following = f"check {file}" if kind == "run" else f"{kind} {file} --dry-run"
    print(f"{file} written; next: segdistill {following}")
