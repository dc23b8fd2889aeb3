"""``segdistill list analyses``: the analyses of ``segdistill analyse``."""

from __future__ import annotations

from segdistill.cli.rows import Containing, Verbose, entries, print_rows
from segdistill.cli.words import Json


def list_analyses(
    containing: Containing = "", verbose: Verbose = False, json: Json = False
) -> None:
    """List the analyses of segdistill analyse.

    Example: segdistill list analyses --verbose
    """
    from segdistill.catalogue.analyses import ANALYSES

    rows = entries(ANALYSES)
    for name, row in ANALYSES.items():
        rows[name] |= {"needs": row.needs, "source": row.source}
    print_rows(rows, containing, verbose=verbose, as_json=json)
