"""``segdistill list networks``: built-in networks, and sources of others."""

from __future__ import annotations

from segdistill.cli.rows import Containing, Verbose, entries, print_rows
from segdistill.cli.words import Json


def list_networks(
    containing: Containing = "", verbose: Verbose = False, json: Json = False
) -> None:
    """List the built-in networks, and how to name others.

    Example: segdistill list networks --verbose
    """
    from segdistill.config.rows import TABLES

    print_rows(entries(TABLES["network"]), containing, verbose=verbose, as_json=json)
