"""``segdistill list backbones``: segdistill's backbones and all of timm's."""

from __future__ import annotations

from segdistill.cli.rows import Containing, Rows, print_rows
from segdistill.cli.words import Json


def list_backbones(containing: Containing = "", json: Json = False) -> None:
    """List backbones: segdistill's and all of timm's.

    Example: segdistill list backbones mobilenetv2
    """
    from segdistill.catalogue.backbones import listed_backbones

    names = listed_backbones()
    if names is None:
        from segdistill.models import backbone_names

        names = tuple(backbone_names())
    rows: Rows = {name: {"about": ""} for name in names}
    print_rows(rows, containing, verbose=False, as_json=json)
