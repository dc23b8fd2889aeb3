"""Tables: CSV that reads back, LaTeX that compiles."""

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from segdistill.reporting.groups import Group
from segdistill.reporting.studies import read_study, study_groups
from segdistill.reporting.tables import escape_latex, results_csv, results_tex

from .folders import METHODS, make_study


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[Group]:
    folder = tmp_path_factory.mktemp("tables") / "study"
    methods = dict(METHODS) | {"100%_a&b": (("attention",), 0.0)}
    pairs = ("small_1", "large")
    return study_groups(read_study(make_study(folder, pairs=pairs, seeds=4, methods=methods)))


def test_csv_reads_back_every_number(groups: list[Group]) -> None:
    rows = list(csv.DictReader(io.StringIO(results_csv(groups, failed={("large", "kl"): 2}))))
    assert len(rows) == len(groups) == 13
    for row, own in zip(rows, groups, strict=True):
        assert (row["pair"], row["method"]) == (own.panel, own.name)
        assert float(row["miou_mean"]) == own.miou
        assert row["failed"] == ("2" if own.label == "kl (large)" else "0")
        if own.comparison is not None:
            assert float(row["difference_low"]) == own.comparison.difference.low
            assert int(row["paired_seeds"]) == 4
            assert float(row["p_holm"]) == own.comparison.p_holm
    assert rows[0]["difference"] == rows[0]["energy_kwh"] == rows[0]["miou_sd"] == ""


def test_latex_has_seven_cells_per_row_and_balanced_braces(groups: list[Group]) -> None:
    text = results_tex(groups)
    body = text[text.index(r"\begin{tabular}") : text.index(r"\end{tabular}")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    wide = [line for line in rows if not line.startswith(r"\multicolumn")]
    assert len(wide) == 1 + 7 + 7, "head, then teacher and six methods per pair"
    assert {len(re.findall(r"(?<!\\)&", line)) for line in wide} == {6}
    plain = re.sub(r"\\[{}]", "", text)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert r"\multicolumn{7}{l}{small\_1} \\" in text
    assert any(line.startswith(r"100\%\_a\&b &") for line in wide)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX on this machine")
@pytest.mark.parametrize("packages", ["", r"\usepackage{booktabs}"])
def test_latex_compiles(groups: list[Group], tmp_path: Path, packages: str) -> None:
    (tmp_path / "results.tex").write_text(results_tex(groups), encoding="utf-8")
    head, tail = r"\documentclass{article}", r"\begin{document}\input{results}\end{document}"
    (tmp_path / "page.tex").write_text(f"{head}{packages}{tail}", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_specials_are_escaped_once() -> None:
    assert escape_latex("a_b {c} 50% \\ ~") == (
        r"a\_b \{c\} 50\% \textbackslash{} \textasciitilde{}"
    )
