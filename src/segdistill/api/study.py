"""Study: from its file to a page that says which methods helped, and how sure that is."""

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
from segdistill.runs.result import has_result
from segdistill.runs.study import find_final_runs, read_plan, write_study_results
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
    """Tune every method and the plain student alike, train them over several seeds, compare.

    Args:
        source: study file, the name of a packaged one, or a study that was checked.
        out: folder of the study.
        overrides: ``a.b=value`` words on the study file, such as ``seeds=6``.
        trust: ``import:`` and ``file:`` targets that files may name; see
            :mod:`segdistill.trust`.
        dry_run: stop when ``plan.json`` is written.
        resume: go on with a study that was interrupted, or extend one by seeds, methods, pairs
            or trials.
        tell: called with what happens.

    Returns:
        What was written to ``results.json``, or with ``dry_run`` to ``plan.json``.

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
    # The images are what an analysis writes last.
    if not all(has_analysis(out, "images", pair) for pair in (pairs if len(pairs) > 1 else [""])):
        analyse(out, trust=trusted, tell=tell)
    write_study_report(out)
    return results
