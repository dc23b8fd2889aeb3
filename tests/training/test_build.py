"""From config to data: recipe, splits, and what cannot be trained on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from segdistill.config import DataConfig, RunConfig
from segdistill.config.loading import check_tree
from segdistill.data.pictures import write_image
from segdistill.data.transforms import Recipe
from segdistill.errors import CheckpointError, ConfigError, DataError
from segdistill.models import Adapter, save_network
from segdistill.training.build import (
    build_cohort,
    build_data,
    build_recipe,
    build_section,
    classifier_of,
    open_split,
)
from segdistill.training.events import Event, Note

Make = Callable[..., RunConfig]


def photos(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for place in range(count):
        write_image(folder / f"{place}.png", np.full((48, 64, 3), 80 * place, dtype=np.uint8))
    return folder


def test_the_recipe_has_what_the_config_says() -> None:
    config = DataConfig(
        dataset="scenes",
        crop=(32, 48),
        scale=(0.5, 2.1),
        flip=False,
        jitter=0.4,
        hue=0.1,
        blur=0.5,
        max_class_share=0.75,
        rare_class=0.25,
        rare_temperature=0.02,
    )
    assert build_recipe(config) == Recipe(
        (32, 48), (0.5, 2.1), False, 0.4, 0.4, 0.4, 0.1, 0.5, 0.75, 0.25, 0.02
    )


def test_by_default_only_scale_and_flip_are_drawn() -> None:
    found = build_recipe(DataConfig(dataset="scenes", crop=(32, 48)))
    assert found == Recipe((32, 48), (0.5, 2.0), flip=True)


def test_a_weight_file_that_misses_is_named_with_its_network(small: Make) -> None:
    config = small("teacher.weights=nowhere.safetensors")
    assert config.teacher is not None
    with pytest.raises(FileNotFoundError, match=r"^teacher: .*nowhere\.safetensors"):
        build_section(config.teacher, 11, seed=0, purpose="teacher")


def test_what_weights_were_not_taken_is_told(small: Make, tmp_path: Path) -> None:
    config = small()
    network = build_section(config.student, 11, seed=0, purpose="student")
    save_network(tmp_path / "a.safetensors", network, {"classes": ["left", "right"]})
    config = small(f"student.weights={tmp_path / 'a.safetensors'}")
    told: list[Event] = []
    build_cohort({"": config}, build_data(config).train.classes, told.append)
    (note,) = [each for each in told if isinstance(each, Note)]
    assert note.text.startswith("student: ")
    assert (
        "the classifier is initialised at random: classifier.weight, classifier.bias" in note.text
    )


def test_a_teacher_of_other_classes_is_refused_by_their_names(small: Make, tmp_path: Path) -> None:
    config = small()
    assert config.teacher is not None
    network = build_section(config.teacher, 11, seed=0, purpose="teacher")
    names = [f"class {place}" for place in range(11)]
    save_network(tmp_path / "a.safetensors", network, {"classes": names})
    config = small(f"teacher.weights={tmp_path / 'a.safetensors'}", "teacher.untrained=false")
    with pytest.raises(CheckpointError, match=r"^teacher: .*missing among class 0, class 1"):
        build_cohort({"": config}, build_data(config).train.classes)


def listed(root: Path, rows: list[str]) -> str:
    photos(root / "images")
    (root / "masks").mkdir()
    for place in range(3):
        write_image(root / "masks" / f"{place}.png", np.zeros((48, 64), dtype=np.uint8))
    (root / "classes.txt").write_text("road\nsky\n")
    (root / "data.csv").write_text("\n".join(rows) + "\n")
    return f"data={{dataset: list, root: {root}, crop: [32, 48], batch_size: 2, train_split: more}}"


def test_any_split_can_be_trained_on_and_held_out_of(small: Make, tmp_path: Path) -> None:
    rows = ["image,mask,split"]
    rows += [f"images/{i}.png,masks/{i}.png,{s}" for i, s in enumerate(("more", "more", "val"))]
    config = small(listed(tmp_path, rows), "data.holdout=0.5", "evaluation.split=holdout")
    data = build_data(config)
    assert (len(data.train), len(data.evaluation)) == (1, 1)
    assert len(open_split(config.data, "val")) == 1


def test_images_without_masks_or_classes_cannot_be_trained_on(small: Make, tmp_path: Path) -> None:
    rows = ["image,split", *(f"images/{i}.png,{s}" for i, s in enumerate(("more", "more", "val")))]
    with pytest.raises(DataError, match="expected masks, got none in more"):
        build_data(small(listed(tmp_path, rows)))
    photos(tmp_path / "photos" / "train")
    photos(tmp_path / "photos" / "val")
    with pytest.raises(DataError, match="expected a dataset with classes"):
        build_data(small(f"data={{dataset: images, root: {tmp_path / 'photos'}, crop: [32, 48]}}"))


def test_losses_that_need_labels_are_refused_beside_unlabelled_images(
    small: Make, tmp_path: Path
) -> None:
    photos(tmp_path / "photos" / "train")
    source = f"{{dataset: images, root: {tmp_path / 'photos'}, per_batch: 2}}"
    config = small(f"data.unlabelled={source}", distill=[{"loss": "intra_class_variation"}])
    with pytest.raises(ConfigError, match=r"distill\.0: .*data\.unlabelled\.labels=teacher"):
        check_tree(config.tree())
    tree = config.tree()
    tree["data"]["unlabelled"]["labels"] = "teacher"
    assert check_tree(tree).distill == config.distill


def own_network() -> nn.Module:
    """Return a network whose logits are made by a 1x1 convolution and pass through dropout."""
    body = nn.Conv2d(3, 8, kernel_size=5, stride=4, padding=2)
    return nn.Sequential(body, nn.ReLU(), nn.Conv2d(8, 11, kernel_size=1), nn.Dropout(0.1))


def test_the_classifier_of_an_own_network_is_where_its_logits_come_from(small: Make) -> None:
    student = {"network": f"import:{__name__}:own_network", "taps": {"head": "1"}}
    config = small(student=student, distill=[{"loss": "pixelwise_kl"}])
    network = build_section(config.student, 11, seed=0, purpose="student")
    assert isinstance(network, Adapter)
    assert classifier_of(network, config) is None
    augmented = small(
        student=student, distill=[{"loss": "feature_augmentation", "beside": ["head"]}]
    )
    assert classifier_of(network, augmented) is network.network[2]
