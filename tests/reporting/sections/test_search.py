"""The search: every trial is drawn, whatever its end, and settings have names."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from segdistill.reporting.sections.search import search_plots, setting, sweep_plots
from segdistill.reporting.studies import Study, read_study, study_groups

from ..folders import make_study


def searched(folder: Path, **options: object) -> Study:
    return read_study(make_study(folder / "study", seeds=1, **options))  # type: ignore[arg-type]


def test_has_a_plot_per_method_that_counts_every_end(tmp_path: Path) -> None:
    study = searched(tmp_path)
    figures = search_plots(study, study_groups(study))
    assert [figure.title for figure in figures] == ["plain", "kl", "skd", "lad", "mgd"]
    skd = figures[2]
    assert "6 trials, 4 done, 1 pruned, 1 failed" in skd.alt
    best = study.chosen["student"]["skd"]
    assert best.miou is not None
    assert f"Chosen: trial {best.trial} with {100 * best.miou:.1f} % mIoU." in skd.alt
    assert ElementTree.fromstring(skd.svg).tag.endswith("svg")


def test_methods_of_several_pairs_are_told_apart(tmp_path: Path) -> None:
    study = searched(tmp_path, pairs=("x", "y"))
    titles = [figure.title for figure in search_plots(study, study_groups(study))]
    assert titles[0] == "plain, x"
    assert len(titles) == len(set(titles)) == 10


def test_sweeps_show_each_number_that_varied(tmp_path: Path) -> None:
    study = searched(tmp_path)
    found = sweep_plots(study, study_groups(study))
    assert [figure.title for figure in found["plain"]] == ["lr", "weight_decay"]
    assert [figure.title for figure in found["skd"]] == [
        "lr",
        "weight_decay",
        "pixelwise_kl weight",
        "pairwise_similarity weight",
    ]
    names = [figure.svg.split('id="')[1].split('"')[0] for one in found.values() for figure in one]
    assert len(names) == len(set(names))


def test_what_is_no_number_or_never_varied_is_no_sweep(tmp_path: Path) -> None:
    study = searched(tmp_path, trials=2)
    params = {"training.schedule": "poly", "training.lr": 0.1}
    again = replace(study, trials=tuple(replace(one, params=params) for one in study.trials))
    assert sweep_plots(again, study_groups(again)) == {}


def test_a_search_in_which_all_failed_is_still_drawn(tmp_path: Path) -> None:
    study = searched(tmp_path, trials=2)
    trials = [replace(one, status="failed", miou=None, error="nan") for one in study.trials]
    again = replace(study, trials=tuple(trials), chosen={})
    figures = search_plots(again, study_groups(again))
    assert len(figures) == 5
    assert figures[0].alt == "Search of plain: 2 trials, 2 failed. No trial was chosen."


def test_a_setting_is_called_by_its_loss(tmp_path: Path) -> None:
    study = searched(tmp_path)
    assert setting(study, "skd", "distill.1.weight") == "pairwise_similarity weight"
    assert setting(study, "skd", "distill.7.weight") == "distill.7 weight"
    assert setting(study, "skd", "training.lr") == "lr"
    assert setting(study, "unknown", "data.batch_size") == "data.batch_size"
