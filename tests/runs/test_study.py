"""A study folder: records come back, old ones are read, runs are found by pair, seed, method."""

import json
from dataclasses import asdict
from pathlib import Path

from segdistill.runs.layout import CHOSEN, MEASURED, SUGGESTED
from segdistill.runs.measured import CohortCost, LearnerCost, read_measured, write_measured
from segdistill.runs.plan import Estimate, Plan, PlannedCohort, PlannedRun, read_plan, write_plan
from segdistill.runs.search import (
    Choice,
    read_chosen,
    read_suggested,
    trial_folder,
    write_chosen,
    write_suggested,
)
from segdistill.runs.study import (
    FinalRun,
    final_folder,
    find_final_runs,
    has_begun,
    is_study,
    read_study_results,
    read_study_settings,
    write_study,
    write_study_results,
)

CHOICES = {"student": {"plain": Choice(2, {"training.lr": 0.02}, 0.25), "kl": Choice(error="nan")}}
COSTS = {"student": CohortCost(0.5, 1.5, {"kl": LearnerCost(2.5, None, 3.5)}, 4.5, 2)}
PARAMS = {"kl": {"training.lr": 0.02, "distill.0.weight": 3}}


def test_a_plan_comes_back(tmp_path: Path) -> None:
    runs = {"kl": PlannedRun("final/student/seed-0/kl", "5eed", 400)}
    cohort = PlannedCohort(
        id="a", stage="final", pair="student", learners=runs, seconds=9.0, seed=0
    )
    estimate = Estimate(search_seconds=1.0, final_seconds=2.0, apart_seconds=3.0, counts="steps")
    plan = Plan(hash="5eed", jobs=(cohort,), estimate=estimate)
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan


def test_choices_costs_suggestions_and_results_come_back(tmp_path: Path) -> None:
    assert (read_chosen(tmp_path), read_measured(tmp_path)) == ({}, {})
    assert read_study_results(tmp_path) == {}
    write_chosen(tmp_path, CHOICES)
    write_measured(tmp_path, COSTS)
    write_suggested(tmp_path, "student", 3, PARAMS)
    write_study_results(tmp_path, {"hash": "5eed"})
    assert read_chosen(tmp_path) == CHOICES
    assert read_measured(tmp_path) == COSTS
    assert read_suggested(tmp_path, "student", 3) == PARAMS
    assert read_study_results(tmp_path)["hash"] == "5eed"


def test_files_from_before_formats_with_pairs_at_the_top_are_read(tmp_path: Path) -> None:
    choices = {pair: {m: asdict(c) for m, c in own.items()} for pair, own in CHOICES.items()}
    (tmp_path / CHOSEN).write_text(json.dumps(choices))
    costs = {pair: asdict(cost) for pair, cost in COSTS.items()}
    (tmp_path / MEASURED).write_text(json.dumps(costs))
    folder = tmp_path / trial_folder("student", 0)
    folder.mkdir(parents=True)
    (folder / SUGGESTED).write_text(json.dumps(PARAMS))
    assert read_chosen(tmp_path) == CHOICES
    assert read_measured(tmp_path) == COSTS
    assert read_suggested(tmp_path, "student", 0) == PARAMS


def test_final_runs_are_found_in_the_order_of_pairs_seeds_and_methods(tmp_path: Path) -> None:
    cells = [("a", 2, "plain"), ("a", 10, "kl"), ("a", 10, "plain"), ("b", 0, "plain")]
    for pair, seed, method in reversed(cells):
        final_folder(tmp_path, pair, seed, method).mkdir(parents=True)
    (tmp_path / "final" / "a" / "seed-2" / ".plain.lock").touch()
    found = list(find_final_runs(tmp_path))
    assert [(run.pair, run.seed, run.method) for run in found] == cells
    assert found[0] == FinalRun("a", 2, "plain", final_folder(tmp_path, "a", 2, "plain"))


def test_a_folder_is_a_study_with_its_file_and_has_begun_with_its_runs(tmp_path: Path) -> None:
    assert not is_study(tmp_path)
    write_study(tmp_path, {"seeds": [0], "match": "steps"})
    assert is_study(tmp_path)
    assert not has_begun(tmp_path)
    assert read_study_settings(tmp_path) == {"seeds": [0], "match": "steps"}
    final_folder(tmp_path, "a", 0, "plain").mkdir(parents=True)
    assert has_begun(tmp_path)
