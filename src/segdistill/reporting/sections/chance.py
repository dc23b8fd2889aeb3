"""Chance: the shares of search, seed and images in the variance of a difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdistill.config import PLAIN
from segdistill.reporting.material import Material


def show(material: Material) -> Mapping[str, Any] | None:
    """Return a row for each method of a finished study, None without any."""
    study = material.study
    pairs = {} if study is None else study.results.get("pairs", {})
    several = study is not None and study.results.get("repeats", 1) > 1
    rows = []
    for pair, results in pairs.items():
        plain = results["methods"].get(PLAIN, {}).get("median_of_searches")
        for method, own in results["methods"].items():
            chance, median = own.get("chance"), own.get("median_of_searches")
            if not chance or not chance["shares"]:
                continue
            rows.append(
                {
                    "pair": pair,
                    "method": method,
                    "shares": chance["shares"],
                    "deviations": {
                        name: None if value is None else 100 * value**0.5
                        for name, value in chance["variance"].items()
                    },
                    "median": None if median is None or plain is None else median - plain,
                }
            )
    if not rows:
        return None
    return {"rows": rows, "several_pairs": len(pairs) > 1, "several_searches": several}
