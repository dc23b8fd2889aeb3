"""Results: numbers that can be worked out by hand, failures kept, cost of cohorts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from segdistill.config import StudyConfig
from segdistill.runs.layout import RESULT
from segdistill.runs.result import Best, Failure, Result, write_failure, write_result
from segdistill.runs.study import (
    Choice,
    CohortCost,
    LearnerCost,
    final_folder,
    find_final_runs,
    write_chosen,
    write_measured,
)
from segdistill.runs.trials import Status, Trial, append_trial
from segdistill.studies.results import summarize_study

Make = Callable[..., StudyConfig]
SCORES = {
    "plain": [0.40, 0.42, 0.44, 0.46, 0.48, 0.50],
    "kl": [0.45, 0.46, 0.49, 0.52, 0.53, 0.55],
    "lad": [0.41, None, 0.43, 0.47, 0.47, 0.51],
}


def result(seed: int, method: str, miou: float) -> Result:
    distils = method != "plain"
    return Result(
        name=method,
        method=method,
        split="val",
        miou=miou,
        pixel_accuracy=miou,
        iou={"road": miou + 0.1, "sign": miou - 0.1, "bus": None},
        config_hash="h",
        seed=seed,
        data_seed=seed,
        step=100,
        steps=100,
        own_seconds=10.0,
        batch_seconds=2.0 + seed,
        teacher_seconds=5.0,
        seconds=12.0 + seed + 5.0 * distils,
        peak_memory_mib=100.0,
    )


def final(out: Path, seed: int, method: str) -> Path:
    return final_folder(out, "student", seed, method)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for method, scores in SCORES.items():
        for seed, miou in enumerate(scores):
            run = final(tmp_path, seed, method)
            run.mkdir(parents=True)
            if miou is None:
                write_failure(run, Failure(error="expected a finite loss", step=7))
            else:
                write_result(run, result(seed, method, miou))
    choice = Choice(trial=0, params={"training.lr": 0.02}, miou=0.3)
    write_chosen(tmp_path, {"student": dict.fromkeys(SCORES, choice)})
    learners = {method: LearnerCost(0.1, None, None) for method in SCORES}
    write_measured(tmp_path, {"student": CohortCost(0.02, 0.05, learners, None)})
    statuses: tuple[Status, ...] = ("done", "pruned", "pruned")
    for number, status in enumerate(statuses):
        append_trial(tmp_path, Trial("student", "kl", number, {}, 0, "h", status, 0.1, 4, 4, 1.0))
    return tmp_path


def test_methods_are_compared_seed_by_seed(small: Make, out: Path) -> None:
    found = summarize_study(small("seeds=6"), out)["pairs"]["student"]["methods"]
    kl = found["kl"]["against_plain"]
    assert kl["difference"]["estimate"] == pytest.approx(0.05)
    assert kl["seeds"] == 6
    assert kl["p"] == pytest.approx(2 / 64)  # all differences have one sign: the least of 2^6
    assert kl["p_holm"] == pytest.approx(2 * 2 / 64)
    assert not kl["claimed"]  # the interval is clear of 0, the corrected p is above 0.05
    assert kl["difference"]["low"] > 0
    assert found["kl"]["mean"] == pytest.approx(0.5)
    assert found["plain"]["against_plain"] is None
    assert found["kl"]["trials"] == {"done": 1, "pruned": 2, "failed": 0}


def test_a_failed_run_takes_its_seed_from_its_own_method_alone(small: Make, out: Path) -> None:
    pair = summarize_study(small("seeds=6"), out)["pairs"]["student"]
    found = pair["methods"]
    assert found["lad"]["failed"] == {"1": "expected a finite loss"}
    assert found["lad"]["against_plain"]["seeds"] == 5
    assert found["kl"]["against_plain"]["seeds"] == 6
    # A rank needs all three: kl first, and lad before plain at 0, 3 and 5 of 0, 2, 3, 4, 5.
    assert pair["seeds"] == [0, 2, 3, 4, 5]
    ranks = {method: own["rank"] for method, own in found.items()}
    assert ranks == pytest.approx({"kl": 1.0, "lad": 2.4, "plain": 2.6})


def test_classes_are_compared_where_all_runs_have_them(small: Make, out: Path) -> None:
    classes = summarize_study(small("seeds=6"), out)["pairs"]["student"]["methods"]["kl"]["classes"]
    assert set(classes) == {"road", "sign"}
    assert classes["road"]["difference"]["estimate"] == pytest.approx(0.05)
    assert classes["road"]["p_holm"] == pytest.approx(2 * 2 / 64)


def test_one_seed_has_no_interval_and_no_claim(small: Make, out: Path) -> None:
    found = summarize_study(small("seeds=1"), out)["pairs"]["student"]["methods"]["kl"]
    ends = found["against_plain"]["difference"]
    assert (ends["low"], ends["high"]) == (None, None)
    assert not found["against_plain"]["claimed"]
    assert found["deviation"] is None


def test_a_cohort_pays_for_batch_and_teacher_once(small: Make, out: Path) -> None:
    cost = summarize_study(small("seeds=[0, 2]"), out)["cost"]
    together = (2 + 5 + 30) + (4 + 5 + 30)
    apart = (12 + 17 + 17) + (14 + 19 + 19)
    parts = 2 * 100 * (0.02 + 0.05 + 3 * 0.1)
    assert cost == pytest.approx(
        {"together_seconds": together, "parts_seconds": parts, "apart_seconds": apart}
    )


def test_a_method_of_which_nothing_finished_is_shown_and_not_compared(
    small: Make, out: Path
) -> None:
    for run in find_final_runs(out):
        if run.method == "lad":
            (run.folder / RESULT).unlink(missing_ok=True)
    pair = summarize_study(small("seeds=6"), out)["pairs"]["student"]
    assert pair["methods"]["lad"]["mean"] is None
    assert pair["methods"]["lad"]["against_plain"] is None
    assert pair["methods"]["kl"]["against_plain"]["p_holm"] == pytest.approx(2 / 64)


def test_a_stage_before_training_is_a_part_that_separate_runs_have_as_well(
    small: Make, out: Path
) -> None:
    before = summarize_study(small("seeds=[0]"), out)["cost"]["parts_seconds"]
    longer = replace(result(0, "kl", 0.45), own_seconds=17.0, prepare_seconds=7.0)
    write_result(final(out, 0, "kl"), longer)
    after = summarize_study(small("seeds=[0]"), out)["cost"]["parts_seconds"]
    assert after - before == pytest.approx(7.0)


def test_the_best_on_the_way_stands_beside_the_result(small: Make, out: Path) -> None:
    assert _best(small("seeds=2"), out) is None  # nothing was scored on the way
    for seed, best in enumerate((0.5, 0.6)):
        scored = replace(result(seed, "kl", SCORES["kl"][seed] or 0.0), best=Best(50, best))
        write_result(final(out, seed, "kl"), scored)
    assert _best(small("seeds=2"), out) == pytest.approx(0.55)


def _best(study: StudyConfig, out: Path) -> float | None:
    found: float | None
    found = summarize_study(study, out)["pairs"]["student"]["methods"]["kl"]["best_mean"]
    return found
