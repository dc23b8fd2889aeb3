"""Results: numbers that can be worked out by hand, failures kept, cost of cohorts."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from segdistill.config import StudyConfig
from segdistill.runs.measured import CohortCost, LearnerCost, write_measured
from segdistill.runs.result import Best, Failure, Result, has_result, write_failure, write_result
from segdistill.runs.search import Choice, write_chosen
from segdistill.runs.study import final_folder, find_final_runs
from segdistill.runs.trials import Trial, append_trial
from segdistill.studies.results import summarize_study

Make = Callable[..., StudyConfig]
SCORES = {
    "plain": [0.40, 0.42, 0.44, 0.46, 0.48, 0.50],
    "kl": [0.45, 0.46, 0.49, 0.52, 0.53, 0.55],
    "lad": [0.41, None, 0.43, 0.47, 0.47, 0.51],
}


# What the release before this test wrote for these scores; the least p is now that of any number
# of methods, as their joint test has it.
LAD = {
    "params": {"training.lr": 0.02},
    "search_miou": 0.3,
    "search_error": None,
    "trials": {"done": 0, "pruned": 0, "failed": 0},
    "miou": {"0": 0.41, "2": 0.43, "3": 0.47, "4": 0.47, "5": 0.51},
    "mean": 0.458,
    "best_mean": None,
    "deviation": 0.03898717737923586,
    "rank": 2.4,
    "against_plain": {
        "seeds": 5,
        "mean": 0.458,
        "deviation": 0.03898717737923586,
        "difference": {
            "low": -0.011601747613165122,
            "estimate": 0.0019999999999999797,
            "high": 0.01560174761316508,
            "confidence": 0.95,
        },
        "p": 1.0,
        "p_holm": 1.0,
        "smallest_p": 0.0625,
        "improvement": 0.52,
        "claimed": False,
    },
    "classes": {
        "road": {
            "seeds": 5,
            "mean": 0.0019999999999999797,
            "deviation": 0.01095445115010331,
            "difference": {
                "low": -0.011601747613165118,
                "estimate": 0.0019999999999999797,
                "high": 0.015601747613165077,
                "confidence": 0.95,
            },
            "p": 1.0,
            "p_holm": 1.0,
            "smallest_p": 0.0625,
            "improvement": 0.6,
            "claimed": False,
        },
        "sign": {
            "seeds": 5,
            "mean": 0.0019999999999999797,
            "deviation": 0.01095445115010331,
            "difference": {
                "low": -0.011601747613165118,
                "estimate": 0.0019999999999999797,
                "high": 0.015601747613165077,
                "confidence": 0.95,
            },
            "p": 1.0,
            "p_holm": 1.0,
            "smallest_p": 0.0625,
            "improvement": 0.6,
            "claimed": False,
        },
    },
    "cost": {"seconds": 19.8, "own_seconds": 10.0, "peak_memory_mib": 100.0, "energy_kwh": None},
    "failed": {"1": "expected a finite loss"},
}


def result(seed: int, method: str, miou: float, **changed: Any) -> Result:
    return Result(
        name=method,
        method=method,
        split="val",
        miou=miou,
        pixel_accuracy=0.9,
        iou={"road": miou + 0.1, "sign": miou - 0.1, "bus": None},
        config_hash="0123456789ab",
        seed=seed,
        data_seed=seed,
        step=100,
        steps=100,
        **{
            "own_seconds": 10.0,
            "batch_seconds": 2.0 + seed,
            "teacher_seconds": 5.0,
            "seconds": 12.0 + seed + 5.0 * (method != "plain"),
            "peak_memory_mib": 100.0,
            **changed,
        },
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for method, scores in SCORES.items():
        for seed, miou in enumerate(scores):
            folder = final_folder(tmp_path, "student", seed, method)
            folder.mkdir(parents=True)
            if miou is None:
                write_failure(folder, Failure(error="expected a finite loss", step=7))
            else:
                write_result(folder, result(seed, method, miou))
    choice = Choice(0, {"training.lr": 0.02}, 0.3)
    write_chosen(tmp_path, {"student": dict.fromkeys(SCORES, choice)})
    learners = {method: LearnerCost(0.1, None, None) for method in SCORES}
    write_measured(tmp_path, {"student": CohortCost(0.02, 0.05, learners, None)})
    for number, status in enumerate(("done", "pruned", "pruned")):
        trial = Trial("student", "kl", number, {}, 0, "h", status, 0.1, 4, 4, 1.0)  # type: ignore[arg-type]
        append_trial(tmp_path, trial)
    return tmp_path


def test_the_numbers_are_those_of_the_release_before(small: Make, out: Path) -> None:
    found = summarize_study(small("seeds=6"), out)["pairs"]["student"]["methods"]["lad"]
    flat, expected = (_flat(tree) for tree in (found, LAD))
    added = {path.rpartition("against_plain.")[2].split(".")[0] for path in flat.keys() - expected}
    later = {"search_regret", "group", "simultaneous", "p_joint", "verdict", "chance", "searches"}
    assert added == later | {"classes"}
    for path, value in expected.items():
        if isinstance(value, float):
            assert flat[path] == pytest.approx(value, rel=1e-12), path
        else:
            assert flat[path] == value, path


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        own = _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else None
        found |= {f"{prefix}{key}": value} if own is None else own
    return found


def test_methods_are_compared_seed_by_seed(small: Make, out: Path) -> None:
    found = summarize_study(small("seeds=6"), out)["pairs"]["student"]["methods"]
    kl = found["kl"]["against_plain"]
    assert kl["difference"]["estimate"] == pytest.approx(0.05)
    assert kl["seeds"] == 6
    assert kl["p"] == pytest.approx(2 / 64)  # all differences have one sign: the least of 2^6
    # Each difference of lad is 0.01: in 4 flips of its 5 seeds its t has no end, beyond kl's.
    assert kl["p_joint"] == pytest.approx((2 + 4) / 64)
    assert (kl["claimed"], kl["verdict"]) == (False, "no difference shown")
    assert kl["simultaneous"]["low"] == 0
    assert found["kl"]["mean"] == pytest.approx(0.5)
    assert found["plain"]["against_plain"] is None
    assert found["kl"]["trials"] == {"done": 1, "pruned": 2, "failed": 0}


def test_the_baseline_of_a_seed_is_the_mean_of_its_plain_runs(small: Make, out: Path) -> None:
    study = small("seeds=6", "controls=[plain_again]")
    again = (0.46, 0.44, 0.45, None, 0.47, 0.48)
    for seed, miou in enumerate(again):
        folder = final_folder(out, "student", seed, "plain_again")
        folder.mkdir(parents=True)
        if miou is None:
            write_failure(folder, Failure(error="expected a finite loss", step=7))
        else:
            own = replace(result(seed, "plain", miou), seed=900 + seed, boundary_iou=miou / 2)
            write_result(folder, own)
    chosen = dict.fromkeys([*SCORES, "plain_again"], Choice(0, {"training.lr": 0.02}, 0.3))
    write_chosen(out, {"student": chosen})
    learners = dict.fromkeys(chosen, LearnerCost(0.1, None, None))
    write_measured(out, {"student": CohortCost(0.02, 0.05, learners, None)})
    first = replace(result(0, "plain", 0.40), boundary_iou=0.2)
    write_result(final_folder(out, "student", 0, "plain"), first)
    found = summarize_study(study, out)["pairs"]["student"]["methods"]
    expected = [
        one if other is None else (one + other) / 2
        for one, other in zip(SCORES["plain"], again, strict=True)
    ]
    assert list(found["plain"]["miou"].values()) == pytest.approx(expected)
    differences = [kl - plain for kl, plain in zip(SCORES["kl"], expected, strict=True)]
    assert found["kl"]["against_plain"]["difference"]["estimate"] == pytest.approx(
        fmean(differences)
    )
    assert found["kl"]["against_plain"]["seeds"] == 6
    alone = found["plain_again"]
    assert (alone["mean"], alone["against_plain"]) == (pytest.approx(0.46), None)
    assert list(alone["failed"]) == ["3"]
    assert found["plain"]["further"]["boundary IoU"]["mean"] == pytest.approx(
        fmean([0.215, 0.22, 0.225, 0.235, 0.24])
    )


def test_a_method_that_beats_plain_in_every_seed_is_claimed(small: Make, out: Path) -> None:
    shutil.rmtree(final_folder(out, "student", 1, "lad"))
    lad = {0: 0.412, 2: 0.43, 3: 0.471, 4: 0.468, 5: 0.517}
    for seed, miou in lad.items():
        write_result(final_folder(out, "student", seed, "lad"), result(seed, "lad", miou))
    found = summarize_study(small("seeds=6"), out)["pairs"]["student"]["methods"]
    kl = found["kl"]["against_plain"]
    assert kl["p_joint"] == kl["smallest_p"] == pytest.approx(2 / 64)
    assert kl["p_holm"] == pytest.approx(2 * 2 / 64)
    assert (kl["claimed"], kl["verdict"]) == (True, "better")
    assert kl["simultaneous"]["low"] > 0
    assert found["kl"]["group"] == "a"
    assert found["plain"]["group"] == "b"


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
    assert classes["road"]["p_joint"] == pytest.approx(2 / 64)


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
        if run.method == "lad" and has_result(run.folder):
            shutil.rmtree(run.folder)
    pair = summarize_study(small("seeds=6"), out)["pairs"]["student"]
    assert pair["methods"]["lad"]["mean"] is None
    assert pair["methods"]["lad"]["against_plain"] is None
    assert pair["methods"]["kl"]["against_plain"]["p_holm"] == pytest.approx(2 / 64)


def test_a_stage_before_training_is_a_part_that_separate_runs_have_as_well(
    small: Make, out: Path
) -> None:
    folder = final_folder(out, "student", 0, "kl")
    before = summarize_study(small("seeds=[0]"), out)["cost"]["parts_seconds"]
    write_result(folder, result(0, "kl", 0.45, own_seconds=17.0, prepare_seconds=7.0))
    after = summarize_study(small("seeds=[0]"), out)["cost"]["parts_seconds"]
    assert after - before == pytest.approx(7.0)


def test_the_best_on_the_way_stands_beside_the_result(small: Make, out: Path) -> None:
    assert _best(small("seeds=2"), out) is None  # nothing was scored on the way
    for seed, best in enumerate((0.5, 0.6)):
        folder = final_folder(out, "student", seed, "kl")
        scored = result(seed, "kl", SCORES["kl"][seed] or 0.0, best=Best(50, best))
        write_result(folder, scored)
    assert _best(small("seeds=2"), out) == pytest.approx(0.55)


def _best(study: StudyConfig, out: Path) -> float | None:
    found: float | None
    found = summarize_study(study, out)["pairs"]["student"]["methods"]["kl"]["best_mean"]
    return found
