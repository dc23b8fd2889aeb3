"""``segdistill verify``: a list and exit code 1, or one line and 0."""

import json
from pathlib import Path

import pytest
import typer

from segdistill.api import verify as api
from segdistill.cli.verify import verify
from segdistill.studies.verify import Fault


def test_prints_what_does_not_fit_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [Fault("seeds", "final/a: expected seed 1, got 2")]
    monkeypatch.setattr(api, "verify", lambda folder, data, tell: faults)
    with pytest.raises(typer.Exit) as ended:
        verify(Path("study"))
    assert ended.value.exit_code == 1
    assert capsys.readouterr().out == ("seeds: final/a: expected seed 1, got 2\nstudy: 1 fault\n")
    with pytest.raises(typer.Exit):
        verify(Path("study"), json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"check": "seeds", "said": "final/a: expected seed 1, got 2"}
    ]


def test_says_that_a_sound_study_passed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "verify", lambda folder, data, tell: [])
    verify(Path("study"))
    assert capsys.readouterr().out == "study: all checks passed\n"
