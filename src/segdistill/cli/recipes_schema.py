"""``segdistill recipes schema``: the JSON schema with which editors check run files."""

from __future__ import annotations


def recipes_schema() -> None:
    """Print the JSON schema of run, study and search files, for editors.

    Editors with yaml-language-server complete and check a file whose first line is
    # yaml-language-server: $schema=segdistill.schema.json

    Example: segdistill recipes schema > segdistill.schema.json
    """
    from json import dumps

    from segdistill.config.schema import file_schema

    print(dumps(file_schema(), indent=2))
