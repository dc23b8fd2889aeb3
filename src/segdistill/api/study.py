"""Study: from its file to a page that says which methods help, and how certain that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segdistill.api.analyse import analyse
from segdistill.api.complete import complete
from segdistill.config import StudyConfig
from segdistill.config.loading import load_study
from segdistill.files import claim
from segdistill.reporting.study_page import report_files, write_study_report
from segdistill.runs.analyses import has_analysis
from segdistill.runs.plan import read_plan
from segdistill.runs.result import has_result
from segdistill.runs.study import find_final_runs, write_study_results
from segdistill.studies.results import summarize_study
from segdistill.studies.runner import run_study
from segdistill.training.events import Tell, silent
from segdistill.trust import own_words


def study(
    source: str | Path | StudyConfig,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    trust: Sequence[str] = (),
    dry_run: bool = False,
    resume: bool = False,
    tell: Tell = silent,
) -> dict[str, Any]:
    """Tune every method and the plain student equally, train them over several seeds, and compare.

    Example::

        results = segdistill.study("studies/scenes", "study", overrides=["seeds=6"])

    Args:
        source: study file, name of a packaged one, or a checked study.
        out: folder of the study.
        overrides: overrides ``a.b=value`` of the study file, such as ``seeds=6``.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        dry_run: stop after writing ``plan.json``.
        resume: continue an interrupted study, or extend one by seeds, methods, pairs or trials.
        tell: called with every event.

    Returns:
        The contents of ``results.json``, or of ``plan.json`` with ``dry_run``.

    Raises:
        ConfigError, RunFolderError, DataError, CheckpointError, TrainingDivergedError,
        ValueError: see :func:`segdistill.studies.runner.run_study`.
    """
    if isinstance(source, StudyConfig):
        checked = source
    else:
        checked = load_study(source, overrides, trust=trust)
    out = Path(out)
    claim("report", report_files(out))
    checked = run_study(checked, out, dry_run=dry_run, resume=resume, tell=tell)
    if dry_run:
        return read_plan(out).as_dict()
    trusted = sorted(own_words(checked.tree(), checked.trust))
    finished = [run.folder for run in find_final_runs(out) if has_result(run.folder)]
    complete(finished, trust=trusted)
    results = summarize_study(checked, out)
    write_study_results(out, results)
    pairs = dict.fromkeys(run.pair for run in find_final_runs(out) if has_result(run.folder))
    # The images are the last files that an analysis writes.
    if not all(has_analysis(out, "images", pair) for pair in (pairs if len(pairs) > 1 else [""])):
        analyse(out, trust=trusted, tell=tell)
    write_study_report(out)
    return results
