"""The protocol: the numbers of the study file in sentences."""

from dataclasses import replace
from pathlib import Path

from segdistill.reporting.sections.protocol import protocol
from segdistill.reporting.studies import read_study, study_groups
from segdistill.runs.extensions import Extension, append_extension
from segdistill.runs.result import read_result, write_result
from segdistill.runs.study import find_final_runs, read_study_settings, write_study

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


def test_says_whether_the_chance_of_the_search_is_in_the_intervals(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", seeds=6)
    assert "There was one search: what another one would have chosen is in no" in told(folder)
    search = read_study_settings(folder)["search"]
    text = told(folder, search={**search, "repeats": 3})
    assert "done 3 times, each search with seeds of its own" in text
    assert "sign flips of whole searches" in text
    assert "With 3 searches p cannot be below 0.25" in text


def test_says_that_the_study_grew(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", seeds=2)
    append_extension(folder, Extension(seeds_before=1, seeds=(1,), seen=True))
    assert "extended by seed 1, after results could be seen." in told(folder)


def test_says_that_nothing_was_searched(tmp_path: Path) -> None:
    text = told(make_study(tmp_path / "study", seeds=2), search={"trials": 0})
    assert text.startswith("Nothing was searched")
    assert "trial had" not in text


def test_says_the_steps_that_equal_seconds_gave(tmp_path: Path) -> None:
    text = told(make_study(tmp_path / "study", seeds=2), match="seconds")
    assert "Budgets match by measured seconds" in text
    assert "kl 400, skd 400" in text


def test_names_the_control_that_has_more_steps(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", seeds=2)
    for run in find_final_runs(folder):
        if run.method == "kl":
            write_result(run.folder, replace(read_result(run.folder), steps=650))
    methods = read_study_settings(folder)["methods"]
    text = told(folder, methods={**methods, "kl": {"control": "longer"}})
    assert "steps: 400 for every method but the control longer, which got the time" in text
    assert "slowest method: 650." in text


def test_names_the_settings_that_were_searched(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", seeds=2)
    assert "over learning rate and weight decay and, for a method, its own" in told(folder)
    search = read_study_settings(folder)["search"]
    space = {"training.lr": [0.01, 0.02], "training.label_smoothing": [0.0, 0.1]}
    text = told(folder, search={**search, "space": space})
    assert "over training.lr, training.label_smoothing and, for a method, its own" in text
