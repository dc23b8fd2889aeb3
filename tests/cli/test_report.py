"""report: one page from run folders."""

import shutil
from pathlib import Path

import pytest

from segdistill.runs.study import write_study

from .conftest import Cli, Trained


def test_compares_the_runs_in_a_folder_each_once(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    done = cli("report", trained.folder, trained.run, "--out", file)
    assert (done.code, done.out) == (0, f"{file} written, 2 runs; open it in a browser\n")
    page = file.read_text()
    assert "plain" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_folder_without_runs_is_refused(cli: Cli, tmp_path: Path) -> None:
    done = cli("report", tmp_path)
    assert done.code == 2
    assert "expected a finished run in it, got none" in done.err


@pytest.fixture
def study(trained: Trained, tmp_path: Path) -> Path:
    """Return the folder of a study of one seed, made of real runs."""
    folder = tmp_path / "study"
    for name in ("plain", "kl"):
        place = folder / "final" / "student" / "seed-0" / name
        shutil.copytree(trained.folder / name, place)
    write_study(folder, {"seeds": [0], "match": "steps"})
    return folder


def test_a_study_gets_a_page_and_two_tables(study: Path, cli: Cli) -> None:
    done = cli("report", study)
    assert (done.code, done.out) == (
        0,
        f"{study / 'report.html'} written, results.csv and results.tex next to it; "
        "open it in a browser\n",
    )
    assert "Protocol" in (study / "report.html").read_text()
    assert (study / "results.csv").read_text().startswith("pair,method,seeds")
    assert r"\begin{tabular}" in (study / "results.tex").read_text()


def test_a_study_is_reported_by_itself(study: Path, trained: Trained, cli: Cli) -> None:
    done = cli("report", study, trained.folder)
    assert done.code == 2
    assert "expected one study or several run folders, got 2 folders including a study" in done.err


def test_never_writes_over_a_file_of_a_run_or_a_foreign_page(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("my thesis")
    for file in (page, trained.run / "result.json"):
        before = file.read_bytes()
        done = cli("report", trained.folder, "--out", file)
        assert (done.code, done.out, file.read_bytes()) == (2, "", before)
        assert "expected a new file, or an unchanged one written by report" in done.err
    page.unlink()
    for _ in range(2):
        assert cli("report", trained.folder, "--out", page).code == 0


def test_the_tables_of_a_study_never_replace_a_runs(study: Path, cli: Cli) -> None:
    run = study / "final" / "student" / "seed-0" / "kl"
    before = (run / "results.csv").read_bytes()
    done = cli("report", study, "--out", run / "page.html")
    assert (done.code, done.out) == (2, "")
    assert f"got {run / 'results.csv'}; choose another place" in done.err
    assert (run / "results.csv").read_bytes() == before
    assert not (run / "page.html").exists()
