"""The common part of ``train`` and ``distill``: from a config to finished runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from segdistill.cli.words import check_config, trust_words
from segdistill.runs.layout import REPORT
from segdistill.runs.lock import is_first_process, remove_empty
from segdistill.trust import named


def run(
    verb: Literal["train", "distill"],
    config: str,
    overrides: list[str] | None,
    *,
    out: Path | None,
    resume: bool,
    trust: list[str] | None,
    json: bool,
) -> None:
    """Train with progress, then print the results and the next commands."""
    checked = check_config(config, overrides, trust)
    from segdistill.api.distill import distill
    from segdistill.api.folders import ROOT, choose_folder
    from segdistill.api.train import train
    from segdistill.cli.progress import display
    from segdistill.cli.results import print_runs
    from segdistill.runs.result import read_result
    from segdistill.runs.student import student_file

    words = overrides or []
    call = train if verb == "train" else distill
    folder = choose_folder(config, out, resume=resume)
    with display() as tell:
        try:
            runs = call(checked, folder, resume=resume, tell=tell)
        except KeyboardInterrupt as stopped:
            again = ["segdistill", verb, config, *words, "--out", str(folder), "--resume"]
            again += trust_words(trust)
            raise KeyboardInterrupt(
                f"{str(stopped) or 'interrupted'}\nnext: {shlex.join(again)}"
            ) from None
        finally:
            remove_empty(folder)  # made for a run that was refused
            if folder.parent == ROOT:
                remove_empty(ROOT)
    if not is_first_process():
        return
    print_runs(runs, as_json=json)
    if json:
        return
    print(f"\nreport: {folder / REPORT}")
    # For a student with a user's own code, these commands need it to be trusted again.
    code = dict.fromkeys(named([learner.student.network for learner in checked.learners.values()]))
    trusting = "".join(f" {shlex.quote(word)}" for word in trust_words(code))
    if verb == "train" and len(runs) == 1:
        print(
            f"next: segdistill evaluate {runs[0]}{trusting}, or use it as a teacher: segdistill "
            f"distill CONFIG teacher.weights={student_file(runs[0])}{trusting}"
        )
    else:
        best = max(runs, key=lambda run: read_result(run).miou)
        print(f"next: segdistill evaluate {best}{trusting}, or segdistill export {best}{trusting}")
