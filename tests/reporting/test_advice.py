"""Advice: never a method that was not shown to be better, and seeds that would show it."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.reporting.folders import make_study

from segdistill.reporting.advice import advice, seeds_needed
from segdistill.reporting.studies import read_study, study_groups


def test_ships_what_was_shown_to_be_better(tmp_path: Path) -> None:
    ship, sure, surer = advice(study_groups(read_study(make_study(tmp_path / "s"))), margin=0.005)
    assert ship.startswith("Which student to ship: kl, ")
    assert sure.startswith("How sure: its gain over plain is +")
    assert surer.startswith("What would make it surer: 24 more seeds, about ")


def test_ships_plain_where_nothing_was_shown(tmp_path: Path) -> None:
    methods = {"plain": ((), 0.0), "kl": (("pixelwise_kl",), 0.001)}
    folder = make_study(tmp_path / "s", methods=methods, seeds=6)
    ship, sure, surer = advice(study_groups(read_study(folder)), margin=0.005)
    assert ship == "Which student to ship: plain, since no method was shown to be better."
    assert "which contains 0" in sure
    assert "find a true gain of" in surer


def test_searches_are_the_sample_where_there_were_several(tmp_path: Path) -> None:
    groups = study_groups(read_study(make_study(tmp_path / "s")))
    kl = next(group for group in groups if group.name == "kl")
    assert kl.comparison is not None
    searched = replace(
        kl.summary,
        comparison=replace(kl.comparison, searches=4),
        sample=kl.summary.sample[:4],
    )
    groups = [replace(one, summary=searched) if one is kl else one for one in groups]
    _, sure, surer = advice(groups, margin=0.005)
    assert sure.endswith("(8 seeds of 4 searches).")
    assert surer == ("What would make it surer: 12 more searches make the interval half as wide.")


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    groups = study_groups(read_study(make_study(tmp_path / "s", seeds=1)))
    ship, sure, surer = advice(groups, margin=0.005)
    assert ship.startswith("Which student to ship: not decided. kl scored highest, ")
    assert sure.startswith("How sure: not at all.")
    assert surer == (
        "What would make it surer: 5 more seeds, about 2.8 h, are the fewest that can prove a gain."
    )
    alone = [group for group in groups if group.name == "plain"]
    assert advice(alone, margin=0.005) == []


def test_more_seeds_are_needed_for_smaller_gains_and_more_methods() -> None:
    assert seeds_needed(0.01, 0.01, 1) == 10
    assert seeds_needed(0.01, 0.01, 12) == pytest.approx(19, abs=3)
    assert seeds_needed(0.01, 0.0, 12) == 6
    assert seeds_needed(0.0001, 0.02, 4) is None
