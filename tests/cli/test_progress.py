"""Progress: bars on a terminal, one plain line an interval elsewhere, always on stderr."""

import pytest

from segdistill.cli import progress
from segdistill.training.events import Evaluated, Note, Progress


def tell_some() -> None:
    with progress.display() as tell:
        tell(Note("teacher: [loaded]"))
        for done in range(1, 9):
            tell(Progress("training kl", done, 8, {"kl": 1.5 / done}, 20.0))
        tell(Evaluated("kl", 8, "val", 0.4231))


def test_elsewhere_the_first_and_last_lines_are_plain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    tell_some()
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "teacher: [loaded]"
    assert lines[1] == "training kl: 1/8  20.0 images/s  kl 1.500"
    assert lines[2].startswith("training kl: 8/8  20.0 images/s  0:00 left  kl 0.188")
    assert lines[3] == "kl: step 8: val mIoU 42.31 %"
    assert len(lines) == 4


def test_a_line_is_written_each_interval(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100, 200, 5))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    lines = progress._PlainLines()
    for done in range(1, 9):
        lines(Progress("training", done, 100, {}))
    shown = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    assert shown == ["1/100", "3/100", "5/100", "7/100"]


def test_a_stage_that_comes_again_is_timed_anew(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 110.0, 120.0, 500.0, 511.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    lines = progress._PlainLines()
    for done in (1, 2, 3, 1, 2):
        lines(Progress("training", done, 3, {}))
    shown = capsys.readouterr().err.splitlines()
    assert shown[-1] == "training: 2/3    0:11 left"


def test_a_terminal_gets_bars_with_losses_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    tell_some()
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b[" in err
    for part in ("━", "8/8", "20.0 images/s", "left", "kl 0.188", "teacher: [loaded]", "42.31 %"):
        assert part in err, part
