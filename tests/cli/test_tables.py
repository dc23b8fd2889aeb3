"""Tables: plain columns for programs, drawn ones on a terminal, and no markup in names."""

import sys

import pytest

from segdistill.cli.tables import plain_table, print_list, print_table

HEADER, ROWS = ("", "mIoU %"), [("plain", "61.30"), ("[bold]kl[/]", "7.5")]


def test_plain_columns_have_equal_widths() -> None:
    assert plain_table(HEADER, ROWS).splitlines() == [
        "             mIoU %",
        "-------------------",
        "plain         61.30",
        "[bold]kl[/]     7.5",
    ]


def test_a_terminal_gets_a_drawn_table_with_the_same_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(HEADER, ROWS)
    print_list({"kl": "a loss"})
    assert capsys.readouterr().out == f"{plain_table(HEADER, ROWS)}\nkl  a loss\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    print_table(HEADER, ROWS)
    print_list({"kl": "a loss " * 30})
    drawn = capsys.readouterr().out
    assert "━" in drawn or "─" in drawn
    for word in ("mIoU %", "61.30", "[bold]kl[/]", "a loss"):
        assert word in drawn
    assert max(map(len, drawn.splitlines())) <= 80
