"""Analyses of a tiny cohort: every file, what it is of, and what is left out and said."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segdistill.analysis.compared import find_compared
from segdistill.analysis.opened import AnalysisSettings
from segdistill.api import analyse as module
from segdistill.api.analyse import analyse
from segdistill.api.distill import distill
from segdistill.catalogue.analyses import ANALYSES
from segdistill.errors import RunFolderError
from segdistill.files import read_json
from segdistill.image_scores import image_miou
from segdistill.runs.confusion import ImageCounts, read_image_counts
from segdistill.runs.layout import IMAGE_COUNTS
from segdistill.runs.metrics import read_metrics, train_lines
from segdistill.runs.result import read_result
from segdistill.runs.settings import read_settings, write_settings
from segdistill.runs.student import student_file
from segdistill.training.events import Event, Note

pytestmark = pytest.mark.long  # whole runs

COHORT = """\
data:
  {dataset: scenes, size: [48, 64], train_images: 6, val_images: 5, batch_size: 4, crop: [32, 48]}
teacher: {network: fcn, backbone: resnet10t, output_stride: 16, width: 16, untrained: true}
student: {network: lraspp, backbone: mobilenetv2_035, output_stride: 16, width: 16}
training: {steps: 4, lr: 0.02, log_every: 2, device: cpu}
evaluation: {pictures: 0}
cohort:
  both:
    distill: [{loss: pixelwise_kl}, {loss: holistic, width: 4}]
  plain: {}
  parts:
    distill: [{loss: feature_mse_terms, weight: 0.5}]
"""
SMALL = AnalysisSettings(pixels=110, perplexity=5, pictures=1, temperatures=(1.0, 4.0), bins=6)
FILES = list(ANALYSES)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analysed")
    (folder / "cohort.yaml").write_text(COHORT)
    distill(folder / "cohort.yaml", folder / "runs")
    return folder / "runs"


@pytest.fixture(scope="module")
def found(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the analyses."""
    out = tmp_path_factory.mktemp("found")
    written = analyse(cohort, out, settings=SMALL)
    assert [file.stem for file in written] == FILES
    assert all(file.parent == out / "analyses" for file in written)
    return out / "analyses"


def image_counts(run: Path) -> ImageCounts:
    counts = read_image_counts(run)
    assert counts is not None
    return counts


def read(found: Path, name: str) -> Any:
    return read_json(found / f"{name}.json")


def test_every_file_names_runs_seeds_and_settings(found: Path, cohort: Path) -> None:
    for name in FILES:
        value = read(found, name)
        assert list(value["runs"]) == ["plain", "both", "parts"]
        for method, run in value["runs"].items():
            assert run["config_hash"] == read_result(cohort / method).config_hash
            assert (run["seed"], run["data_seed"]) == (0, 0)
        assert value["teacher"]["backbone"] == "resnet10t"
    assert read(found, "embedding")["settings"]["pixels"] == 110
    assert read(found, "entropy")["settings"] == {"temperatures": [1.0, 4.0], "bins": 6}


def test_entropies_are_those_of_all_pixels_and_rise_with_the_temperature(found: Path) -> None:
    value = read(found, "entropy")
    assert value["pixels"] == 5 * 48 * 64
    first, second = value["temperatures"]
    for row in (first, second):
        assert sum(row["shares"]) == pytest.approx(1)
    assert first["mean"] < second["mean"] <= value["edges"][-1] == pytest.approx(np.log(11))


def test_every_student_has_the_same_pixels_in_the_plane(found: Path) -> None:
    value = read(found, "embedding")
    count = len(value["labels"])
    assert 20 < count <= 110
    assert set(value["labels"]) <= set(range(11))
    assert set(value["networks"]) == {"plain", "both", "parts", "teacher"}
    for name, row in value["networks"].items():
        assert 0 <= row["neighbour_agreement"] <= 1
        assert ("x" in row) == (name != "teacher")
        if name != "teacher":
            assert len(row["x"]) == len(row["y"]) == count


def test_an_affinity_map_is_a_grey_picture_that_is_lightest_at_its_point(found: Path) -> None:
    points = read(found, "affinity")["points"]
    assert len(points) == 2
    for point in points:
        assert (found / point["input"]).exists()
        for row in point["maps"].values():
            with Image.open(found / row["file"]) as picture:
                grey = np.asarray(picture)
            assert grey.shape == tuple(point["grid"])
            assert grey[point["row"], point["column"]] == grey.max() == 255
            assert grey.mean() / 127.5 - 1 == pytest.approx(row["mean"], abs=0.01)


def test_an_activation_map_is_a_grey_picture_from_its_lowest_to_its_highest_value(
    found: Path,
) -> None:
    images = read(found, "activation")["images"]
    assert len(images) == 2
    for image in images:
        assert (found / image["input"]).exists()
        assert list(image["layers"]) == ["backbone"]
        maps = image["layers"]["backbone"]
        assert list(maps) == ["plain", "both", "parts", "teacher"]
        for row in maps.values():
            with Image.open(found / row["file"]) as picture:
                grey = np.asarray(picture)
            assert (grey.min(), grey.max(), grey.shape) == (0, 255, (3, 4))  # stride 16
            assert 0 <= row["low"] < row["high"]
            mean = row["low"] + grey.mean() / 255 * (row["high"] - row["low"])
            assert mean == pytest.approx(row["mean"], rel=0.01)


def test_the_critic_of_a_run_scores_its_student_and_the_plain_one(found: Path) -> None:
    value = read(found, "critic")
    assert list(value["critics"]) == ["both"]
    critic = value["critics"]["both"]
    assert critic["step"] == 4
    assert list(critic["gaps"]) == ["plain", "both"]
    assert all(len(gaps) == 5 and np.isfinite(gaps).all() for gaps in critic["gaps"].values())
    assert critic["gaps"]["plain"] != critic["gaps"]["both"]


def test_lengths_come_from_the_log(found: Path, cohort: Path) -> None:
    row = read(found, "magnitudes")["networks"]["parts"]
    # resnet10t's last stage has 512 channels; a crop of 32 x 48 at stride 16 is 2 x 3.
    assert row["values"] == 512 * 2 * 3
    assert row["steps"] == [2, 4]
    parts = train_lines(read_metrics(cohort / "parts"))[-1].parts
    length = (parts["feature_mse_terms.teacher"] / 0.5 * row["values"]) ** 0.5
    assert row["m"][-1] == pytest.approx(length)
    product = row["m"][-1] * row["n"][-1] / row["values"]
    assert row["mn_over_values"][-1] == pytest.approx(product)


def test_differences_are_those_of_the_images_and_their_pictures_are_there(
    found: Path, cohort: Path
) -> None:
    value = read(found, "images")
    counts = {name: image_counts(cohort / name).counts for name in ("plain", "both")}
    expected = (image_miou(counts["both"]) - image_miou(counts["plain"])).tolist()
    row = value["methods"]["both"]
    assert row["differences"] == pytest.approx(expected)
    assert row["worst"][0]["difference"] == pytest.approx(min(expected))
    assert row["worst"][0]["image"] == value["images"][expected.index(min(expected))]
    for kinds in value["pictures"].values():
        assert set(kinds) == {"input", "truth", "plain", "both", "parts", "teacher"}
        assert all((found / file).exists() for file in kinds.values())


def test_the_same_again_gives_the_same_bytes(found: Path, cohort: Path, tmp_path: Path) -> None:
    runs = [cohort / name for name in ("plain", "both", "parts")]
    for file in analyse(runs, tmp_path, settings=SMALL):
        assert file.read_bytes() == (found / file.name).read_bytes()


def test_what_cannot_be_made_is_said_and_left_out(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    runs = tmp_path / "runs"
    shutil.copytree(cohort / "both", runs / "both")
    shutil.rmtree(runs / "both" / "checkpoints")
    said: list[Event] = []
    written = analyse(runs, settings=SMALL, tell=said.append)
    assert [file.stem for file in written] == ["entropy", "affinity", "activation"]
    notes = [event.text for event in said if isinstance(event, Note)]
    assert any("scikit-learn is not installed" in note for note in notes)
    assert any(note.endswith("no plain student beside another: left out images") for note in notes)
    assert any("both: no checkpoint with its critic" in note for note in notes)


def test_a_split_whose_runs_kept_no_counts_is_scored_in_part(cohort: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name in ("plain", "parts"):
        shutil.copytree(cohort / name, runs / name)
        (runs / name / IMAGE_COUNTS).unlink()
    few = AnalysisSettings(images=3, pixels=110, perplexity=5, points=0, pictures=1, bins=4)
    analyse(runs, settings=few)
    value = read(runs / "analyses", "images")
    whole = image_counts(cohort / "plain")
    assert len(value["images"]) == 3
    names = list(whole.names)
    plain = image_miou(whole.counts).tolist()
    entry = value["methods"]["parts"]["worst"][0]
    assert entry["plain"] == pytest.approx(plain[names.index(entry["image"])])


def make_study(folder: Path, cohort: Path, pairs: dict[str, dict[str, list[str]]]) -> Path:
    for pair, seeds in pairs.items():
        for seed, methods in seeds.items():
            for method in methods:
                shutil.copytree(cohort / method, folder / "final" / pair / seed / method)
    return folder


def test_of_a_study_each_pairs_first_whole_seed_is_taken(cohort: Path, tmp_path: Path) -> None:
    seeds = {"seed-2": ["both"], "seed-10": ["plain", "both"], "seed-11": ["plain", "both"]}
    pairs = {"a": seeds, "b": {"seed-0": ["plain"]}, "c": {"seed-0": []}}
    found = find_compared(make_study(tmp_path, cohort, pairs))
    assert [one.pair for one in found] == ["a", "b"]
    assert found[0].runs["both"] == tmp_path / "final" / "a" / "seed-10" / "both"
    assert list(found[0].repeats["both"]) == ["2", "10", "11"]
    assert list(found[0].repeats["plain"]) == ["10", "11"]


def test_a_control_without_terms_is_not_taken_for_the_plain_student(
    cohort: Path, tmp_path: Path
) -> None:
    study = make_study(tmp_path, cohort, {"a": {"seed-0": ["plain", "both"]}})
    seed = study / "final" / "a" / "seed-0"
    shutil.copytree(cohort / "plain", seed / "label_smoothing")
    (found,) = find_compared(study)
    assert {name: folder.name for name, folder in found.runs.items()} == {
        "plain": "plain",
        "both": "both",
        "label_smoothing": "label_smoothing",
    }


def test_pictures_of_several_pairs_are_in_a_folder_each(cohort: Path, tmp_path: Path) -> None:
    seeds = {"seed-0": ["plain", "parts"], "seed-1": ["plain", "parts"]}
    study = make_study(tmp_path, cohort, {"a": seeds, "b": seeds})
    written = analyse(study, settings=SMALL)
    assert tmp_path / "analyses" / "b" / "images.json" in written
    value = read(tmp_path / "analyses" / "b", "images")
    assert value["methods"]["parts"]["seeds"] == 2
    first = next(iter(value["pictures"].values()))
    assert first["plain"].startswith("images/b/")
    assert (tmp_path / "analyses" / first["plain"]).exists()


def test_a_teacher_and_runs_of_other_settings_are_left_out(cohort: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name in ("plain", "parts", "both"):
        shutil.copytree(cohort / name, runs / name)
    other = read_settings(runs / "parts")
    write_settings(runs / "parts", {**other, "data": {**other["data"], "batch_size": 3}})
    own = read_settings(runs / "both")
    weights = str(student_file(runs / "plain"))
    write_settings(runs / "both", {**own, "teacher": {**own["teacher"], "weights": weights}})
    said: list[Event] = []
    (compared,) = find_compared(runs, tell=said.append)
    assert list(compared.runs) == ["both"]
    assert len([event for event in said if isinstance(event, Note)]) == 1


def test_refuses_a_folder_without_a_finished_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="expected a finished run, got none"):
        analyse(tmp_path)
