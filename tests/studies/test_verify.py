"""Verify: a sound study passes, and every planted violation is found by the check it is for."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.studies.conftest import SMALL

from segdistill.api.verify import verify
from segdistill.config import check_study, merge, override
from segdistill.reporting.study_page import write_study_report
from segdistill.runs.confusion import (
    Confusion,
    ImageCounts,
    read_confusion,
    read_image_counts,
    write_confusion,
    write_image_counts,
)
from segdistill.runs.environment import read_environment, write_environment
from segdistill.runs.extensions import Extension, append_extension
from segdistill.runs.identity import read_identity, write_identity
from segdistill.runs.layout import (
    CONFUSION,
    FURTHER_COUNTS,
    IDENTITY,
    IMAGE_COUNTS,
    METRICS,
    RESULTS_LATEX,
    RESULTS_TABLE,
    SEARCH,
    TRIALS,
)
from segdistill.runs.plan import read_plan, write_plan
from segdistill.runs.result import Best, Failure, read_result, write_failure, write_result
from segdistill.runs.search import Choice, read_chosen, trial_folder, write_chosen
from segdistill.runs.settings import read_settings, write_settings
from segdistill.runs.shifts import read_shifts, write_shifts
from segdistill.runs.study import (
    final_folder,
    read_study_results,
    read_study_settings,
    write_study,
    write_study_results,
)
from segdistill.runs.trials import Trial, append_trial, read_trials
from segdistill.studies.results import summarize_study
from segdistill.studies.runner import run_study
from segdistill.studies.verify import CHECKS, verify_study

pytestmark = pytest.mark.long  # whole runs


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verify") / "study"
    tree = merge(SMALL, {"methods": {"kl": [{"loss": "pixelwise_kl"}], "lad": None}})
    tree["methods"].pop("lad")
    study = check_study(
        override(tree, ["training.evaluate_every=2", "evaluation.shifts={noise: [3]}"])
    )
    run_study(study, out)
    write_study_results(out, summarize_study(study, out))
    return out


@pytest.fixture
def study(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "study"))


def test_a_sound_study_passes_with_its_images_read(sound: Path) -> None:
    assert verify(sound) == []


def run(study: Path, seed: int = 1, method: str = "kl") -> Path:
    return final_folder(study, "student", seed, method)


def change_result(study: Path, **changed: Any) -> None:
    write_result(run(study), replace(read_result(run(study)), **changed))


def change_setting(folder: Path, section: str, **changed: Any) -> None:
    settings = read_settings(folder)
    settings[section] |= changed
    write_settings(folder, settings)


def change_trials(study: Path, change: Callable[[list[Trial]], list[Trial]]) -> None:
    trials = change(read_trials(study))
    (study / TRIALS).unlink()
    for trial in trials:
        append_trial(study, trial)


def first_trial(**changed: Any) -> Callable[[Path], None]:
    return lambda study: change_trials(study, lambda t: [replace(t[0], **changed), *t[1:]])


def raised_score(study: Path) -> None:
    change_result(study, miou=read_result(run(study)).miou + 0.02)


def raised_class(study: Path) -> None:
    iou = dict(read_result(run(study)).iou)
    name = next(name for name, value in iou.items() if value is not None)
    change_result(study, iou=iou | {name: 0.99})


def other_matrix(study: Path) -> None:
    found = read_confusion(run(study))
    assert found is not None
    counts = np.array(found.counts)
    counts[0, 0] += 1000
    write_confusion(run(study), Confusion(found.classes, tuple(map(tuple, counts.tolist()))))


def change_images(study: Path, change: Callable[[ImageCounts], ImageCounts]) -> None:
    found = read_image_counts(run(study))
    assert found is not None
    write_image_counts(run(study), change(found))


def left_out_image(study: Path) -> None:
    change_images(study, lambda own: ImageCounts(own.names[1:], own.counts[1:]))


def other_image(study: Path) -> None:
    change_images(study, lambda own: ImageCounts(("another", *own.names[1:]), own.counts))


def other_labels(study: Path) -> None:
    change_images(study, lambda own: ImageCounts(own.names, own.counts.transpose(0, 2, 1)))


def copied_run(study: Path) -> None:
    for name in (CONFUSION, IMAGE_COUNTS):
        shutil.copy(run(study, seed=0) / name, run(study) / name)


def other_chosen_trial(study: Path) -> None:
    chosen = read_chosen(study)
    own = chosen["student"]["kl"]
    assert own.trial is not None
    chosen["student"]["kl"] = replace(own, trial=1 - own.trial)
    write_chosen(study, chosen)


def other_chosen_values(study: Path) -> None:
    chosen = read_chosen(study)
    own = chosen["student"]["kl"]
    chosen["student"]["kl"] = replace(own, params=dict(own.params) | {"training.lr": 0.0123})
    write_chosen(study, chosen)


def change_choice(study: Path, **changed: Any) -> None:
    chosen = read_chosen(study)
    chosen["student"]["kl"] = replace(chosen["student"]["kl"], **changed)
    write_chosen(study, chosen)


def scored_on_the_reported_split(study: Path) -> None:
    change_setting(study / trial_folder("student", 0) / "kl", "evaluation", split="val")


def other_packages(study: Path) -> None:
    found = read_environment(run(study))
    write_environment(run(study), replace(found, packages=dict(found.packages) | {"torch": "1.0"}))


def another_seed(study: Path) -> None:
    shutil.copytree(run(study), run(study, seed=7))


def changed_study(study: Path) -> None:
    write_study(study, read_study_settings(study) | {"seeds": [0, 1, 2]})


def change_results(study: Path, *path: str) -> None:
    results = read_study_results(study)
    inner = results["pairs"]["student"]["methods"]["kl"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = 0.123
    write_study_results(study, results)


def change_shift(study: Path, **changed: Any) -> None:
    write_shifts(run(study), {"noise 3": replace(read_shifts(run(study))["noise 3"], **changed)})


def grew(**changed: Any) -> Callable[[Path], None]:
    return lambda study: append_extension(study, Extension(**{"seeds_before": 2} | changed))


def change_trial(study: Path, method: str = "plain", **changed: Any) -> None:
    """Change the line of the best trial of a method, or of the other one if it gets params."""
    best = read_chosen(study)["student"][method].trial
    wanted = best if "params" not in changed else 1 - (best or 0)
    change_trials(
        study,
        lambda trials: [
            replace(t, **changed) if (t.method, t.trial) == (method, wanted) else t for t in trials
        ],
    )


def win(study: Path, miou: float = 0.9) -> None:
    change_trial(study, miou=miou)
    chosen = read_chosen(study)
    chosen["student"]["plain"] = replace(chosen["student"]["plain"], miou=miou)
    write_chosen(study, chosen)


def winner(study: Path) -> Path:
    number = read_chosen(study)["student"]["plain"].trial
    assert number is not None
    return study / trial_folder("student", number) / "plain"


def won_without_runs(study: Path) -> None:
    shutil.rmtree(study / SEARCH)
    win(study)


def won_against_its_matrix(study: Path) -> None:
    win(study)
    write_result(winner(study), replace(read_result(winner(study)), miou=0.9))


def change_identity(folder: Path, **changed: Any) -> None:
    found = read_identity(folder)
    assert found is not None
    if "contents" in changed:
        changed["contents"] = {**found.contents, **changed["contents"]}
    write_identity(folder, replace(found, **changed))


def swapped_classes(study: Path) -> None:
    found, result = read_confusion(run(study)), read_result(run(study))
    assert found is not None
    first, second, *others = found.classes
    write_confusion(run(study), Confusion((second, first, *others), found.counts))
    iou = dict(result.iou)
    iou[first], iou[second] = iou[second], iou[first]
    absent = tuple(name for name in (second, first, *others) if iou[name] is None)
    change_result(study, iou=iou, absent_classes=absent)


def lost_log(study: Path) -> None:
    (run(study) / METRICS).unlink()
    change_result(study, best=Best(2, 0.9))


VIOLATIONS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a raised score": ("scores", raised_score),
    "a raised class": ("scores", raised_class),
    "a raised pixel accuracy": ("scores", lambda s: change_result(s, pixel_accuracy=0.999)),
    "another number of pixels": ("scores", lambda s: change_result(s, pixels=7)),
    "a raised mean accuracy": ("scores", lambda s: change_result(s, mean_accuracy=0.999)),
    "a trial with a score that its matrix has not": ("scores", won_against_its_matrix),
    "a raised boundary IoU": ("further", lambda s: change_result(s, boundary_iou=0.95)),
    "a lowered calibration error": (
        "further",
        lambda s: change_result(s, calibration_error=0.001),
    ),
    "lost counts of further scores": ("further", lambda s: (run(s) / FURTHER_COUNTS).unlink()),
    "a lost matrix": ("scores", lambda s: (run(s) / CONFUSION).unlink()),
    "another matrix": ("images", other_matrix),
    "a lost matrix of each image": ("images", lambda s: (run(s) / IMAGE_COUNTS).unlink()),
    "an image left out": ("images", left_out_image),
    "an image replaced": ("images", other_image),
    "other labels": ("images", other_labels),
    "two classes that changed places": ("images", swapped_classes),
    "a run copied from another seed": ("copies", copied_run),
    "a result of another config": ("hashes", lambda s: change_result(s, config_hash="0" * 12)),
    "changed settings": ("hashes", lambda s: change_setting(run(s), "training", lr=0.5)),
    "an environment of another config": (
        "hashes",
        lambda s: write_environment(
            run(s), replace(read_environment(run(s)), config_hash="0" * 12)
        ),
    ),
    "a plan of another study": (
        "hashes",
        lambda s: write_plan(s, replace(read_plan(s), hash="0" * 12)),
    ),
    "settings that are not the chosen ones": (
        "settings",
        lambda s: change_setting(run(s), "training", lr=0.5),
    ),
    "no run of any trial": ("trials", lambda s: shutil.rmtree(s / SEARCH)),
    "a winner without runs of any trial": ("trials", won_without_runs),
    "other values of a trial that lost": (
        "trials",
        lambda s: change_trial(s, params={"training.lr": 0.999}),
    ),
    "a trial of another config": ("trials", lambda s: change_trial(s, config_hash="0" * 12)),
    "a trial of fewer seconds": ("trials", lambda s: change_trial(s, seconds=0.001)),
    "a trial with other settings": (
        "trials",
        lambda s: change_setting(winner(s), "training", lr=0.5),
    ),
    "another teacher file": (
        "inputs",
        lambda s: change_identity(run(s), contents={"teacher.weights": "1" * 64}),
    ),
    "another student for one method": (
        "inputs",
        lambda s: [
            change_identity(run(s, seed), contents={"student.weights": "1" * 64}) for seed in (0, 1)
        ],
    ),
    "other masks in the final runs than the study recorded": (
        "inputs",
        lambda s: change_identity(s, contents={"data.masks": "1" * 64}),
    ),
    "an extended run": ("inputs", lambda s: change_identity(run(s), extended=(1,))),
    "other classes when it was trained": (
        "inputs",
        lambda s: change_identity(run(s), classes=("a", "b")),
    ),
    "no identity": ("inputs", lambda s: (run(s) / IDENTITY).unlink()),
    "more steps for one method": (
        "settings",
        lambda s: change_setting(run(s), "training", steps=8),
    ),
    "another seed in the folder": ("seeds", lambda s: change_result(s, seed=3)),
    "another data seed": ("seeds", lambda s: change_result(s, data_seed=3)),
    "a seed of the comparison in the search": ("seeds", first_trial(data_seed=1)),
    "a trial of another seed than its like": ("seeds", first_trial(data_seed=99)),
    "a run that is missing": ("runs", lambda s: shutil.rmtree(run(s))),
    "a run too many": ("runs", another_seed),
    "a seed of the study file that was not run": ("runs", changed_study),
    "a result beside a failure": ("runs", lambda s: write_failure(run(s), Failure(error="nan"))),
    "a run of more steps": ("budgets", lambda s: change_result(s, step=8, steps=8)),
    "weights from before the last step": ("budgets", lambda s: change_result(s, step=2)),
    "a trial too few": ("budgets", lambda s: change_trials(s, lambda t: t[1:])),
    "a trial too many": ("budgets", lambda s: change_trials(s, lambda t: [*t, t[0]])),
    "a longer trial": ("budgets", first_trial(steps=400)),
    "a trial chosen that was not the best": ("choices", other_chosen_trial),
    "chosen values that no trial tried": ("choices", other_chosen_values),
    "a trial with a score of its own making": ("trials", first_trial(miou=0.9)),
    "a trial scored on the reported split": ("split", scored_on_the_reported_split),
    "a result on training images": ("split", lambda s: change_result(s, split="train")),
    "a best score that was not logged": ("best", lambda s: change_result(s, best=Best(2, 0.9))),
    "a best score without a log": ("best", lost_log),
    "an extension by seeds that are not there": ("growth", grew(seeds=(9,), seen=True)),
    "a run older than the extension that made it": (
        "growth",
        grew(seeds_before=1, seeds=(1,), time="2999-01-01T00:00:00Z"),
    ),
    "an extension by more trials than there are": ("growth", grew(trials=2)),
    "another number of seeds before": ("growth", grew(seeds_before=7)),
    "a replaced run without a longer search": (
        "growth",
        lambda s: (s / "superseded/1/final/student/seed-1/kl").mkdir(parents=True),
    ),
    "a search that was not planned": (
        "budgets",
        lambda s: change_trials(s, lambda t: [*t, replace(t[0], repeat=1)]),
    ),
    "a trial of another search's seed": (
        "seeds",
        lambda s: change_trials(s, lambda t: [*t, replace(t[0], repeat=1)]),
    ),
    "a choice of a search that was not planned": (
        "choices",
        lambda s: change_choice(s, repeats=(Choice(0),)),
    ),
    "a raised score under a shift": ("shifts", lambda s: change_shift(s, miou=0.9)),
    "a shift that was not scored": ("shifts", lambda s: write_shifts(run(s), {})),
    "another matrix under a shift": ("shifts", lambda s: change_shift(s, counts=((5, 0), (0, 5)))),
    "other packages in one run": ("environment", other_packages),
    "another machine": (
        "environment",
        lambda s: write_environment(run(s), replace(read_environment(run(s)), gpu="H100")),
    ),
    "no results": ("results", lambda s: (s / "results.json").unlink()),
    "another mean": ("results", lambda s: change_results(s, "mean")),
    "another p": ("results", lambda s: change_results(s, "against_plain", "p_joint")),
    "another interval": (
        "results",
        lambda s: change_results(s, "against_plain", "simultaneous", "low"),
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_planted_violation_is_found(name: str, study: Path) -> None:
    check, plant = VIOLATIONS[name]
    plant(study)
    if check != "results" and (study / SEARCH).exists():  # a forger would compute them again
        write_study_results(study, summarize_study(check_study(read_study_settings(study)), study))
    faults = verify_study(study)
    assert check in {fault.check for fault in faults}, faults


def test_changed_tables_are_found(study: Path) -> None:
    write_study_report(study)
    assert verify(study, data=False) == []
    for name in (RESULTS_TABLE, RESULTS_LATEX):
        text = (study / name).read_text()
        (study / name).write_text(text.replace("kl", "best", 1))
    faults = verify(study, data=False)
    assert [fault.said.split(":")[0] for fault in faults] == [RESULTS_TABLE, RESULTS_LATEX]


def test_every_check_has_a_violation_that_it_finds() -> None:
    assert {check for check, _ in VIOLATIONS.values()} == set(CHECKS) - {"own teachers"}


def test_an_image_in_training_and_in_validation_is_found(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segdistill.api import verify as module

    def same(data: Any, split: str) -> Any:
        return opened(data, data.train_split)

    opened = module.open_split
    monkeypatch.setattr(module, "open_split", same)
    leaks = [fault for fault in verify(study) if fault.check == "leaks"]
    assert leaks
    assert "expected an image in one split, got one in several: training images/" in leaks[0].said


def test_a_teacher_that_was_trained_on_the_scored_images_is_found(
    study: Path, tmp_path: Path
) -> None:
    (tmp_path / "teacher").mkdir()
    settings = read_settings(run(study))
    write_settings(
        tmp_path / "teacher", settings | {"data": settings["data"] | {"train_split": "val"}}
    )
    weights = str(tmp_path / "teacher" / "model.safetensors")
    change_setting(run(study), "teacher", weights=weights, untrained=False)
    leaks = [fault.said for fault in verify(study) if fault.check == "leaks"]
    assert leaks
    assert all(said.startswith(f"teacher {tmp_path / 'teacher'}: data: expected") for said in leaks)
