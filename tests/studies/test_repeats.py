"""Several searches, whole: each has seeds and trials of its own; a final seed takes its choice."""

from pathlib import Path

import pytest
from tests.studies.conftest import SMALL

from segdistill.config import check_study, override
from segdistill.errors import ConfigError
from segdistill.runs.search import read_chosen
from segdistill.runs.settings import read_settings
from segdistill.runs.study import find_final_runs, write_study_results
from segdistill.runs.trials import read_trials
from segdistill.studies.results import summarize_study
from segdistill.studies.runner import run_study
from segdistill.studies.verify import verify_study


@pytest.mark.long
def test_seeds_take_the_values_of_their_search(tmp_path: Path) -> None:
    words = ("training.steps=1", "search.trials=2", "search.repeats=2", "seeds=3")
    methods = {"kl": [{"loss": "pixelwise_kl"}]}
    study = run_study(check_study(override(SMALL | {"methods": methods}, words)), tmp_path)
    trials = read_trials(tmp_path)
    assert [(t.repeat, t.trial) for t in trials if t.method == "kl"] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    assert len({t.data_seed for t in trials}) == 4
    assert len({str(t.params) for t in trials if t.method == "kl" and t.trial == 1}) == 2
    for run in find_final_runs(tmp_path):
        choice = read_chosen(tmp_path)["student"][run.method].of(run.seed % 2)
        settings = read_settings(run.folder)["training"]
        assert settings["lr"] == choice.params["training.lr"]
    results = summarize_study(study, tmp_path)
    kl = results["pairs"]["student"]["methods"]["kl"]
    assert kl["against_plain"]["searches"] == 2
    assert kl["against_plain"]["smallest_p"] == 0.5
    assert len(kl["searches"]) == 2
    assert kl["chance"]["variance"]["seed"] is not None
    write_study_results(tmp_path, results)
    assert [one for one in verify_study(tmp_path) if one.check != "copies"] == []


def test_more_searches_than_seeds_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"at most one search per seed \(2\), with at least one trial"
    ):
        check_study(override(SMALL, ["search.repeats=3"]))
