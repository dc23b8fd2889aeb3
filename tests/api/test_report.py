"""report: one page, of a run, of several, or of a folder of them."""

from pathlib import Path

import pytest

from segdistill.api.report import report
from segdistill.errors import RunFolderError


def test_a_run_several_and_a_folder_give_a_page(run: Path, tmp_path: Path) -> None:
    for number, source in enumerate((run, str(run), [run, run], run.parent)):
        made = report(source, tmp_path / f"{number}.html")
        assert made.page == tmp_path / f"{number}.html"
        assert (made.runs, made.tables) == (1, ())
        assert run.name in made.page.read_text()


def test_without_a_finished_run_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="expected a finished run in it, got none"):
        report(tmp_path)
    with pytest.raises(RunFolderError, match="expected a study folder or run folders, got none"):
        report([])
