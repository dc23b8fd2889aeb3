"""``segdistill list formats``: the formats that ``segdistill export`` writes."""

from __future__ import annotations

from segdistill.cli.rows import Containing, Verbose, entries, print_rows
from segdistill.cli.words import Json


def list_formats(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List the formats that segdistill export writes.

    Example: segdistill list formats --verbose
    """
    from segdistill.catalogue.formats import FORMATS

    rows = entries(FORMATS)
    for name, row in FORMATS.items():
        rows[name] |= {"packages": list(row.packages), "source": row.source}
    print_rows(rows, containing, verbose=verbose, as_json=json)
