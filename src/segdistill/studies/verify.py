"""Verifies a finished study: scores and statistics are recomputed, rules of the protocol checked.

Each check in ``CHECKS`` reads the files of the runs and yields a sentence for every contradiction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdistill.runs.study import read_study_results
from segdistill.studies.evidence import Check, Evidence, changed_paths
from segdistill.studies.results import summarize_study
from segdistill.studies.verify_inputs import check_inputs
from segdistill.studies.verify_protocol import (
    check_budgets,
    check_choices,
    check_seeds,
    check_split,
)
from segdistill.studies.verify_runs import (
    check_environment,
    check_growth,
    check_hashes,
    check_own_teachers,
    check_runs,
    check_settings,
)
from segdistill.studies.verify_scores import (
    check_best,
    check_copies,
    check_further,
    check_images,
    check_scores,
    check_shifts,
)
from segdistill.studies.verify_trials import check_trials


@dataclass(frozen=True)
class Fault:
    """A contradiction in a study.

    Attributes:
        check: name of the check in :data:`CHECKS`.
        said: where it is, what was expected and what was found.
    """

    check: str
    said: str


def verify_study(folder: Path) -> list[Fault]:
    """Return everything in a finished study that contradicts its files or the protocol.

    Args:
        folder: folder written by ``segdistill study``.

    Raises:
        RunFolderError, ConfigError: a file is missing or broken, so that nothing can be checked.
    """
    evidence = Evidence(folder)
    return [Fault(name, said) for name, check in CHECKS.items() for said in check(evidence)]


def _check_results(evidence: Evidence) -> Iterator[str]:
    """``results.json`` agrees with the runs."""
    stored = read_study_results(evidence.folder)
    if not stored:
        yield "results.json: expected the results of a finished study, got none"
        return
    again = summarize_study(evidence.study, evidence.folder)
    for path in changed_paths(again, stored):
        yield f"results.json: expected another value of {path}, recomputed from the runs"


CHECKS: Mapping[str, Check] = {
    "runs": check_runs,
    "scores": check_scores,
    "further": check_further,
    "images": check_images,
    "copies": check_copies,
    "hashes": check_hashes,
    "inputs": check_inputs,
    "settings": check_settings,
    "own teachers": check_own_teachers,
    "trials": check_trials,
    "seeds": check_seeds,
    "budgets": check_budgets,
    "choices": check_choices,
    "split": check_split,
    "best": check_best,
    "growth": check_growth,
    "shifts": check_shifts,
    "environment": check_environment,
    "results": _check_results,
}
"""The checks, by the name in :attr:`Fault.check`."""
