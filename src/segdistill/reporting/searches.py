"""The folder of a search of students as the report reads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from segdistill.reporting.groups import group
from segdistill.reporting.material import Material
from segdistill.reporting.runs import read_runs
from segdistill.reporting.studies import find_teacher, teacher_group
from segdistill.runs.result import has_result
from segdistill.runs.students import read_found
from segdistill.runs.study import find_final_runs


def of_search(folder: Path) -> Material:
    """Return the material for the page of a search: the chosen student's runs, and its teacher.

    Args:
        folder: folder written by ``segdistill search``.

    Raises:
        RunFolderError: the search has not ended, or a file is broken.
    """
    found = read_found(folder)
    finals = [run.folder for run in find_final_runs(folder) if run.method == found.chosen]
    runs = read_runs([run for run in finals if has_result(run)])
    own = [replace(one, label=found.chosen, name=found.chosen) for one in group(runs)]
    teacher = find_teacher(runs)
    if teacher is not None:
        named = replace(teacher, label="teacher", teacher=True)
        own = [teacher_group(named, ""), *own]
    return Material(own, search=found)
