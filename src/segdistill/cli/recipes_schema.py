"""``segdistill recipes schema``: what an editor checks run files against."""

from __future__ import annotations


def recipes_schema() -> None:
    """Print the JSON schema of run and study files, for editors.

    Name it in the first line of a file, and an editor with yaml-language-server completes and
    checks what you type: # yaml-language-server: $schema=segdistill.schema.json

    Example: segdistill recipes schema > segdistill.schema.json
    """
    from json import dumps

    from segdistill.config.schema import file_schema

    print(dumps(file_schema(), indent=2))
