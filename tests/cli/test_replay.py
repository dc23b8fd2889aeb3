"""``segdistill replay``: the step, and what was not finite first."""

from pathlib import Path

import pytest

from segdistill.api import replay as api
from segdistill.cli.replay import replay
from segdistill.training.replay import Replayed


@pytest.mark.parametrize(
    ("error", "said"),
    [("expected a finite loss, got task = nan", "got task = nan"), ("", "every loss is finite")],
)
def test_says_the_step_and_what_broke_first(
    error: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tuple(f"output of {number}" for number in range(5))
    monkeypatch.setattr(api, "replay", lambda run, overrides, trust: Replayed(7, error, first))
    replay(Path("run"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("step 7: ")
    assert said in lines[0]
    assert lines[1:] == [f"  first not finite: output of {number}" for number in range(3)]
    replay(Path("run"), json=True)
    assert '"step": 7' in capsys.readouterr().out
