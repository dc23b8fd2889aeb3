"""What a page is made of, from folders: for the tests of its sections."""

from collections.abc import Sequence
from pathlib import Path

from segdistill.reporting.groups import group
from segdistill.reporting.material import Material
from segdistill.reporting.page import of_study
from segdistill.reporting.runs import read_runs
from segdistill.reporting.studies import read_study


def of_runs(folders: Sequence[Path], folder: Path | None = None) -> Material:
    return Material(group(read_runs(folders)), folder=folder)


def of_study_folder(folder: Path) -> Material:
    return of_study(read_study(folder))
