"""A student on data whose classes stand in another order: mapped by name, or refused."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segdistill.api.distill import distill
from segdistill.api.evaluate import evaluate
from segdistill.api.export import export
from segdistill.api.load import load
from segdistill.api.predict import predict
from segdistill.api.train import train
from segdistill.config.loading import load_configs
from segdistill.data.pictures import colorize
from segdistill.errors import CheckpointError, ConfigError
from segdistill.models import build_network
from segdistill.runs.student import Student, write_student
from segdistill.scoring.evaluator import evaluate as evaluate_network
from segdistill.training.build import build_cohort, build_data
from segdistill.training.events import Event, Note
from segdistill.training.trained_student import load_student
from segdistill.types import Classes

COLORS = {"sky": (60, 110, 200), "road": (90, 90, 80), "car": (200, 60, 50)}


def write_data(root: Path, names: tuple[str, ...]) -> Path:
    """Write bands of colour; masks number the classes as named, whatever they are called."""
    lines = list(COLORS.values())
    numbers = [names.index(name) if name in names else place for place, name in enumerate(COLORS)]
    for split, count in (("train", 4), ("val", 2)):
        for folder in ("images", "masks"):
            (root / split / folder).mkdir(parents=True)
        for place in range(count):
            order = np.random.default_rng(place).permutation(3)
            ids = np.repeat(order, 16)[:, None].repeat(64, axis=1)
            image, mask = np.array(lines, np.uint8)[ids], np.array(numbers, np.uint8)[ids]
            Image.fromarray(image).save(root / split / "images" / f"{place}.png")
            Image.fromarray(mask).save(root / split / "masks" / f"{place}.png")
    (root / "classes.txt").write_text("\n".join(names) + "\n")
    return root


def write_config(folder: Path, data: Path, teacher: str = "") -> Path:
    file = folder / f"{data.name}.yaml"
    student = "{network: fcn, backbone: resnet10t, output_stride: 8, width: 16}"
    file.write_text(
        f"data: {{dataset: folder, root: {data}, batch_size: 4, crop: [48, 64], scale: [1, 1]}}\n"
        f"student: {student}\n{teacher}training: {{steps: 8, lr: 0.05, device: cpu}}\n"
    )
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one dataset in three versions, and a run on the first."""
    made = tmp_path_factory.mktemp("classes")
    write_data(made / "v1", ("sky", "road", "car"))
    write_data(made / "v2", ("car", "Road", "sky"))
    write_data(made / "other", ("car", "tree", "sky"))
    train(write_config(made, made / "v1"), made / "run")
    return made


def notes(said: list[Event]) -> str:
    return "\n".join(event.text for event in said if isinstance(event, Note))


def test_classes_sorted_anew_are_scored_the_same_and_said(folder: Path) -> None:
    said: list[Event] = []
    before = evaluate(folder / "run").scores
    after = evaluate(folder / "run", overrides=[f"data.root={folder / 'v2'}"], tell=said.append)
    assert before.miou > 0.5
    assert after.scores.miou == pytest.approx(before.miou)
    assert after.scores.iou["Road"] == before.iou["road"]
    assert "its classes were put into the data's order: [2, 1, 0]" in notes(said)


def test_classes_of_other_names_are_refused_with_the_word_that_maps_them(folder: Path) -> None:
    words = [f"data.root={folder / 'other'}"]
    with pytest.raises(CheckpointError, match="got tree missing among sky, road, car") as refused:
        evaluate(folder / "run", overrides=words)
    (word,) = shlex.split(str(refused.value).partition("as in ")[2])
    assert word == 'student.class_map=["car", null, "sky"]'
    assert evaluate(folder / "run", overrides=[*words, word]).scores.iou["tree"] == 0
    named = "student.class_map=[car, road, sky]"
    scores = evaluate(folder / "run", overrides=[*words, named]).scores
    assert scores.miou == pytest.approx(evaluate(folder / "run").scores.miou)
    merged = "student.class_map=[[car, road], 0, sky]"
    assert evaluate(folder / "run", overrides=[*words, merged]).scores.pixel_accuracy > 0


@pytest.mark.long
def test_predictions_and_exports_of_mapped_classes_are_the_datas(
    folder: Path, tmp_path: Path
) -> None:
    words = [f"data.root={folder / 'other'}", "student.class_map=[car, road, sky]"]
    student = load(folder / "run", overrides=words)
    assert student.classes.names == ("car", "tree", "sky")
    (file, _) = predict(folder / "run", out=tmp_path / "there", split="val", overrides=words)
    image = folder / "other/val/images/0.png"
    assert np.array_equal(
        np.asarray(Image.open(file)), colorize(student.predict(image).mask, student.classes)
    )
    file = tmp_path / "a.onnx"
    export(folder / "run", file, size=(48, 64), static=True, overrides=words, force=True)
    assert load(file).classes == student.classes


@pytest.mark.parametrize("words", ["car", "{car: sky}", "[[[car]]]"])
def test_a_class_map_of_another_form_is_refused(folder: Path, words: str) -> None:
    with pytest.raises(
        ConfigError, match="expected the student's class for each class of the dataset"
    ):
        evaluate(folder / "run", overrides=[f"student.class_map={words}"])


def test_a_test_servers_format_needs_its_classes_by_name(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected the data's classes in the file"):
        predict(folder / "run", out=tmp_path, split="val", kind="voc")
    assert not list(tmp_path.iterdir())


def test_predictions_have_the_students_own_names_and_colours(folder: Path, tmp_path: Path) -> None:
    own = predict(folder / "run", out=tmp_path / "own", split="val")
    words = [f"data.root={folder / 'v2'}"]
    anew = predict(folder / "run", out=tmp_path / "anew", split="val", overrides=words)
    assert [file.read_bytes() for file in own] == [file.read_bytes() for file in anew]


def test_a_teacher_of_another_order_teaches_the_datas_classes(folder: Path, tmp_path: Path) -> None:
    teacher_of_v1 = f"teacher: {{weights: {folder}/run/model.safetensors}}\n"
    words = f"{teacher_of_v1}distill: [{{loss: pixelwise_kl}}]\n"
    (config,) = load_configs(write_config(tmp_path, folder / "v2", words)).values()
    data, said = build_data(config), list[Event]()
    teacher, _ = build_cohort({"": config}, data.train.classes, said.append)
    assert teacher is not None
    score = evaluate_network(teacher.network, data.evaluation).scores.miou
    assert score == pytest.approx(evaluate(folder / "run").scores.miou)
    assert "its classes were put into the data's order: [2, 1, 0]" in notes(said)


def test_a_teacher_that_lacks_a_class_is_mapped_by_name(folder: Path, tmp_path: Path) -> None:
    words = f"{{weights: {folder}/run/model.safetensors, class_map: [car, null, sky]}}"
    teacher = f"teacher: {words}\ndistill: [{{loss: pixelwise_kl}}]\n"
    config = write_config(tmp_path, folder / "other", teacher)
    (run,) = distill(config, tmp_path / "student", overrides=["training.steps=1"])
    assert load_student(run).classes.names == ("car", "tree", "sky")


def test_a_network_whose_weights_cannot_be_reordered_is_read_in_the_datas_order(
    tmp_path: Path,
) -> None:
    names = tuple("abcdefghij")
    colors = tuple((place, place, place) for place in range(10))
    network = build_network({"network": "espnet"}, classes=10, seed=0)
    file = tmp_path / "model.safetensors"
    write_student(file, network, Student({"network": "espnet"}, names, colors))
    there = load_student(file, data_classes=Classes(names[::-1], colors))
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network.eval()(images).logits.flip(1)
        assert torch.equal(there.network(images).logits, expected)
