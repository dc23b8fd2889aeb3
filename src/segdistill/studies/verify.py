"""A finished study against its own files: every number again, and every rule of the protocol.

Each check reads what the runs left behind and yields a sentence for everything that does not fit.
``CHECKS`` is the table of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdistill.runs.study import (
    read_study_results,
)
from segdistill.studies.evidence import Check, Evidence, changed_paths
from segdistill.studies.results import summarize_study
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
    check_runs,
    check_settings,
)
from segdistill.studies.verify_scores import (
    check_best,
    check_copies,
    check_images,
    check_scores,
    check_shifts,
)


@dataclass(frozen=True)
class Fault:
    """Something in a study that does not fit.

    Attributes:
        check: its name in :data:`CHECKS`.
        said: where it is, what was expected and what is there.
    """

    check: str
    said: str


def verify_study(folder: Path) -> list[Fault]:
    """Return everything in a finished study that contradicts its own files or the protocol.

    Args:
        folder: made by ``segdistill study``.

    Raises:
        RunFolderError, ConfigError: a file is missing or broken, so that nothing can be checked.
    """
    evidence = Evidence(folder)
    return [Fault(name, said) for name, check in CHECKS.items() for said in check(evidence)]


def _check_results(evidence: Evidence) -> Iterator[str]:
    """``results.json`` says what the runs say."""
    given = read_study_results(evidence.folder)
    if not given:
        yield "results.json: expected the results of a study that has ended, got none"
        return
    again = summarize_study(evidence.study, evidence.folder)
    for path in changed_paths(again, given):
        yield f"results.json: expected another value of {path}, recomputed from the runs"


CHECKS: Mapping[str, Check] = {
    "runs": check_runs,
    "scores": check_scores,
    "images": check_images,
    "copies": check_copies,
    "hashes": check_hashes,
    "settings": check_settings,
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
"""What is checked, by the name that a fault carries."""
