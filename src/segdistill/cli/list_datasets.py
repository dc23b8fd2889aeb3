"""``segdistill list datasets``: datasets and their folder layouts."""

from __future__ import annotations

from segdistill.cli.rows import Containing, Rows, Verbose, print_rows, records
from segdistill.cli.words import Json


def list_datasets(
    containing: Containing = "", verbose: Verbose = False, json: Json = False
) -> None:
    """List datasets and their folder layouts.

    Example: segdistill list datasets camvid --verbose
    """
    from segdistill.catalogue.datasets import DATASETS, dataset_settings
    from segdistill.catalogue.tables import load

    rows: Rows = {}
    for name, row in DATASETS.items():
        rows[name] = {
            "about": row.about,
            "splits": list(row.splits),
            "ignored labels": row.ignored,
            "layout below root": row.layout,
            "source": row.source,
            "licence": row.licence,
            "settings": records(dataset_settings(name)),
        }
        if not row.classes:
            rows[name]["classes"] = "the files decide" if row.ignored != "all" else "none"
        elif verbose and containing in name:
            classes = load("segdistill.data", row.classes)
            rows[name]["number of classes"] = len(classes)
            rows[name]["classes"] = {
                label: "#{:02x}{:02x}{:02x}".format(*color)
                for label, color in zip(classes.names, classes.colors, strict=True)
            }
    print_rows(rows, containing, verbose=verbose, as_json=json)
