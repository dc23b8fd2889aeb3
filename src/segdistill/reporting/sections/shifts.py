"""Shifts: further scores, and mIoU on corrupted images, each with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdistill.reporting.material import Material

_LOWER_IS_BETTER = ("ECE",)


def show(material: Material) -> Mapping[str, Any] | None:
    """Return a table of methods for each pair of a finished study, None without shifts."""
    study = material.study
    pairs = {} if study is None else study.results.get("pairs", {})
    tables = []
    for pair, results in pairs.items():
        methods = {
            name: own["further"] for name, own in results["methods"].items() if "further" in own
        }
        columns = list(dict.fromkeys(column for own in methods.values() for column in own))
        if columns:
            tables.append({"pair": pair, "columns": columns, "methods": methods})
    if not tables:
        return None
    return {"tables": tables, "several_pairs": len(pairs) > 1, "lower": _LOWER_IS_BETTER}
