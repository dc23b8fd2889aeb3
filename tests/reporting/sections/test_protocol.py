"""The protocol: the numbers of the study file in sentences."""

from pathlib import Path

from segdistill.reporting.sections.protocol import protocol
from segdistill.reporting.studies import read_study, study_groups
from segdistill.runs.study import read_study_settings, write_study

from ..folders import make_study


def told(folder: Path, **changes: object) -> str:
    write_study(folder, read_study_settings(folder) | changes)
    study = read_study(folder)
    return " ".join(protocol(study, study_groups(study)))


def test_says_trials_split_seeds_budget_and_the_least_p(tmp_path: Path) -> None:
    text = told(make_study(tmp_path / "study", seeds=8))
    for words in (
        "the plain student got 6 trials, suggested by tpe (seed 0)",
        "scored on 20 % of the training images, held out",
        "A trial had 200 steps.",
        "successive halving",
        "8 seeds (0, 1, 2, 3, 4, 5, 6, 7)",
        "Budgets match by steps: 400 for every method.",
        "on the split val",
        "With 8 seeds p cannot be below 0.0078, however many methods there are",
    ):
        assert words in text


def test_says_that_nothing_was_searched(tmp_path: Path) -> None:
    text = told(make_study(tmp_path / "study", seeds=2), search={"trials": 0})
    assert text.startswith("Nothing was searched")
    assert "trial had" not in text


def test_says_the_steps_that_equal_seconds_gave(tmp_path: Path) -> None:
    text = told(make_study(tmp_path / "study", seeds=2), match="seconds")
    assert "Budgets match by measured seconds" in text
    assert "kl 400, skd 400" in text
