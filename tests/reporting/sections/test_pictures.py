"""Pictures: those that runs kept, and the worst and best that an analysis wrote."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from segdistill.reporting.sections.pictures import analysed_pictures, kept_pictures, show
from segdistill.runs.confusion import ImageCounts, write_image_counts

from ..analysed import write_images
from ..folders import make_cohort, make_run, make_study
from ..material import of_runs, of_study_folder


def test_kept_pictures_have_a_layer_a_group(tmp_path: Path) -> None:
    found = kept_pictures(of_runs(make_cohort(tmp_path)).groups)
    assert [picture.name for picture in found] == ["street_1", "street_2"]
    assert [(layer.kind, layer.label) for layer in found[0].layers] == [
        ("input", "input"),
        ("truth", "truth"),
        ("prediction", "teacher"),
        ("prediction", "plain"),
        ("prediction", "kl"),
        ("prediction", "angular"),
    ]


def test_analysed_pictures_are_those_whose_files_are_there(tmp_path: Path) -> None:
    material = of_study_folder(make_study(tmp_path / "study", seeds=1))
    folder = tmp_path / "study"
    kinds = ("input", "truth", "plain", "kl", "teacher")
    place = write_images(folder, material.runs[1].folder, names=("a", "b"), kinds=kinds)
    (place / "a_kl.png").unlink()
    (place / "b_input.jpg").unlink()
    (found,) = analysed_pictures(folder, material)
    assert found.name == "a"
    assert [layer.label for layer in found.layers] == ["input", "truth", "teacher", "plain"]


def test_every_pair_of_a_study_has_its_worst_and_best_images(tmp_path: Path) -> None:
    material = of_study_folder(make_study(tmp_path / "study", pairs=("x", "y"), seeds=1))
    folder = tmp_path / "study"
    assert analysed_pictures(folder, material) == []
    for pair in ("x", "y"):
        kinds = ("input", "plain", "kl")
        write_images(folder, material.runs[1].folder, names=("a",), kinds=kinds, pair=pair)
    found = analysed_pictures(folder, material)
    assert [picture.name for picture in found] == ["a, x", "a, y"]
    assert [layer.label for layer in found[1].layers] == ["input", "plain (y)", "kl (y)"]


def keep_scores(run: Path, hits: Mapping[str, int]) -> None:
    counts = np.array([[[hit, 10 - hit], [0, 0]] for hit in hits.values()])
    write_image_counts(run, ImageCounts(tuple(hits), counts))


def test_the_worst_and_best_images_of_a_run_come_first_and_say_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", name="a", pictures=["a", "b", "c"])
    keep_scores(run, {"a": 6, "b": 5, "c": 2, "d": 9, **dict.fromkeys("efghi", 7)})
    shown = show(of_runs([run]))
    assert shown is not None
    assert [(picture.name, picture.note) for picture in shown["pictures"]] == [
        ("c", "among the worst, 10.0 % mIoU"),
        ("b", "among the worst, 25.0 % mIoU"),
        ("a", "among the worst, 30.0 % mIoU"),
    ]


def test_where_a_method_gains_or_loses_most_comes_first(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / name, name=name, losses=losses, pictures=["a", "b", "c"])
        for name, losses in (("plain", []), ("kl", ["kl"]))
    ]
    for run, hits in zip(runs, ({"b": 5, "c": 5}, {"b": 3, "c": 9}), strict=True):
        keep_scores(run, hits)
    shown = show(of_runs(runs))
    assert shown is not None
    assert [(picture.name, picture.note) for picture in shown["pictures"]] == [
        ("c", "kl +20.0 mIoU points against plain"),
        ("b", "kl −10.0 mIoU points against plain"),
        ("a", ""),
    ]


def test_a_study_shows_no_picture_of_its_teachers_own_run(tmp_path: Path) -> None:
    shown = show(of_study_folder(make_study(tmp_path / "study", seeds=1)))
    assert shown is not None
    labels = {layer.label for picture in shown["pictures"] for layer in picture.layers}
    assert labels == {"input", "truth", "plain", "kl", "skd", "lad", "mgd"}
