"""``segdistill list heads``: the heads that networks put on a backbone."""

from __future__ import annotations

from segdistill.cli.rows import Containing, Verbose, entries, print_rows
from segdistill.cli.words import Json


def list_heads(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List the heads that networks put on a backbone.

    Example: segdistill list heads --verbose
    """
    from segdistill.catalogue.networks import HEADS

    print_rows(entries(HEADS), containing, verbose=verbose, as_json=json)
