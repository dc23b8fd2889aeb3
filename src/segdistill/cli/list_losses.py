"""``segdistill list losses``: distillation losses."""

from __future__ import annotations

from segdistill.cli.rows import Containing, Rows, Verbose, print_rows, records
from segdistill.cli.words import Json


def list_losses(containing: Containing = "", verbose: Verbose = False, json: Json = False) -> None:
    """List distillation losses.

    Example: segdistill list losses --verbose
    """
    from segdistill.catalogue.losses import LOSSES, cost_in_words, licence_in_words, needs
    from segdistill.config import LossConfig
    from segdistill.config.rows import row_model, section_settings

    rows: Rows = {}
    for name, row in LOSSES.items():
        settings = section_settings(row_model(LossConfig, name))
        del settings["loss"]
        rows[name] = {
            "about": row.about,
            "source": row.source,
            "year": row.year,
            "licence of the authors' code": licence_in_words(row),
            "needs": needs(row),
            "cost": cost_in_words(name),
            "gradients": f"{row.gradients} order",
            "settings": records(settings),
        }
    print_rows(rows, containing, verbose=verbose, as_json=json)
