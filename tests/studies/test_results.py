"""Results: numbers that can be worked out by hand, failures kept, cost of cohorts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segdistill.config import StudyConfig
from segdistill.files import write_json
from segdistill.studies.results import summarize_study
from segdistill.studies.trials import Trial, append_trial

Make = Callable[..., StudyConfig]
SCORES = {
    "plain": [0.40, 0.42, 0.44, 0.46, 0.48, 0.50],
    "kl": [0.45, 0.46, 0.49, 0.52, 0.53, 0.55],
    "lad": [0.41, None, 0.43, 0.47, 0.47, 0.51],
}


def result(seed: int, method: str, miou: float) -> dict[str, Any]:
    distils = method != "plain"
    return {
        "miou": miou,
        "iou": {"road": miou + 0.1, "sign": miou - 0.1, "bus": None},
        "steps": 100,
        "own_seconds": 10.0,
        "batch_seconds": 2.0 + seed,
        "teacher_seconds": 5.0,
        "seconds": 12.0 + seed + 5.0 * distils,
        "peak_memory_mib": 100.0,
        "energy_kwh": None,
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for method, scores in SCORES.items():
        for seed, miou in enumerate(scores):
            folder = tmp_path / "final" / "student" / f"seed-{seed}" / method
            folder.mkdir(parents=True)
            if miou is None:
                write_json(folder / "failed.json", {"error": "expected a finite loss"})
            else:
                write_json(folder / "result.json", result(seed, method, miou))
    chosen = {"trial": 0, "params": {"training.lr": 0.02}, "miou": 0.3, "error": None}
    write_json(tmp_path / "chosen.json", {"student": dict.fromkeys(SCORES, chosen)})
    learners = {method: {"seconds": 0.1} for method in SCORES}
    cost = {"batch_seconds": 0.02, "teacher_seconds": 0.05, "learners": learners}
    write_json(tmp_path / "measured.json", {"student": cost})
    for number, status in enumerate(("done", "pruned", "pruned")):
        trial = Trial("student", "kl", number, {}, 0, "h", status, 0.1, 4, 4, 1.0)  # type: ignore[arg-type]
        append_trial(tmp_path / "trials.jsonl", trial)
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
    for file in out.glob("final/student/*/lad/result.json"):
        file.unlink()
    pair = summarize_study(small("seeds=6"), out)["pairs"]["student"]
    assert pair["methods"]["lad"]["mean"] is None
    assert pair["methods"]["lad"]["against_plain"] is None
    assert pair["methods"]["kl"]["against_plain"]["p_holm"] == pytest.approx(2 / 64)


def test_a_stage_before_training_is_a_part_that_separate_runs_have_as_well(
    small: Make, out: Path
) -> None:
    file = out / "final" / "student" / "seed-0" / "kl" / "result.json"
    before = summarize_study(small("seeds=[0]"), out)["cost"]["parts_seconds"]
    write_json(file, result(0, "kl", 0.45) | {"own_seconds": 17.0, "prepare_seconds": 7.0})
    after = summarize_study(small("seeds=[0]"), out)["cost"]["parts_seconds"]
    assert after - before == pytest.approx(7.0)


def test_the_best_on_the_way_stands_beside_the_result(small: Make, out: Path) -> None:
    assert _best(small("seeds=2"), out) is None  # nothing was scored on the way
    for seed, best in enumerate((0.5, 0.6)):
        file = out / "final" / "student" / f"seed-{seed}" / "kl" / "result.json"
        scored = {"best": {"step": 50, "miou": best}}
        write_json(file, result(seed, "kl", SCORES["kl"][seed] or 0.0) | scored)
    assert _best(small("seeds=2"), out) == pytest.approx(0.55)


def _best(study: StudyConfig, out: Path) -> float | None:
    found: float | None
    found = summarize_study(study, out)["pairs"]["student"]["methods"]["kl"]["best_mean"]
    return found
