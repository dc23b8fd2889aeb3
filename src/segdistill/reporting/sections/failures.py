"""Failed runs of a study, and their consequences for the comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from segdistill.reporting.material import Material
from segdistill.reporting.studies import Study


def show(material: Material) -> Mapping[str, Any] | None:
    """Return the failed and missing runs of a study, None if every run has finished."""
    study = material.study
    if study is None or not (study.failures or study.unfinished):
        return None
    return {
        "sentences": survivors(study),
        "unfinished": study.unfinished,
        "failures": study.failures,
        "several_pairs": len(study.pairs) > 1,
    }


def survivors(study: Study) -> list[str]:
    """Return a sentence for each method with failed final runs."""
    counts = Counter((failure.pair, failure.method) for failure in study.failures)
    sentences = []
    for (pair, method), failed in counts.items():
        finished = len(study.students.get(pair, {}).get(method, ()))
        of_pair = f" of {pair}" if len(study.pairs) > 1 else ""
        consequence = (
            "What is said about it holds for the seeds that it survived."
            if finished
            else "Nothing can be said about it."
        )
        sentences.append(
            f"{failed} of {failed + finished} final runs of {method}{of_pair} failed. {consequence}"
        )
    return sentences
