"""report: one page from run folders."""

from pathlib import Path

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
