"""``segdistill recipes list``: the packaged run files."""

from __future__ import annotations

from segdistill.cli.tables import print_list
from segdistill.cli.words import Json


def recipes_list(json: Json = False) -> None:
    """List the packaged run files.

    Example: segdistill recipes list
    """
    from json import dumps

    from segdistill.catalogue.recipes import recipes

    about = {name: recipe.about for name, recipe in recipes().items()}
    if json:
        print(dumps(about))
        return
    print_list(about)
    print("next: segdistill recipes copy NAME run.yaml")
