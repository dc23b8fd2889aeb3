"""``segdistill list conversions``: the exports that ``segdistill convert`` reads."""

from __future__ import annotations

from segdistill.cli.rows import Containing, Rows, Verbose, print_rows
from segdistill.cli.words import Json


def list_conversions(
    containing: Containing = "", verbose: Verbose = False, json: Json = False
) -> None:
    """List the exports of annotation tools that convert reads.

    Example: segdistill list conversions --verbose
    """
    from segdistill.catalogue.conversions import CONVERSIONS

    rows: Rows = {
        name: {"about": row.about, "files": row.layout} for name, row in CONVERSIONS.items()
    }
    print_rows(rows, containing, verbose=verbose, as_json=json)
