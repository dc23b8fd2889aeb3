"""Labels with another meaning: merged, without a class, from 1 on, binary."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.data import build_dataset
from segdistill.data.files.labels import ColorCode, LabelCode, plain_ids
from segdistill.data.files.relabel import describe, relabel
from segdistill.data.formats.voc import CLASSES as VOC
from segdistill.errors import DataError
from segdistill.types import Classes

FILE = Path("m.png")
FOUR = Classes(("sky", "road", "car", "van"), ((1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)))


def decoded(code: LabelCode, *values: int) -> list[int]:
    return code.decode(np.array([values], dtype=np.int32), FILE)[0].tolist()


def test_nothing_given_changes_nothing() -> None:
    code = plain_ids(4)
    assert relabel(FOUR, code) == (FOUR, code)


def test_values_without_a_class_are_ignored_and_their_classes_close_up() -> None:
    classes, code = relabel(FOUR, plain_ids(4), ignore=(0, 11, 254))
    assert classes.names == ("road", "car", "van")
    assert decoded(code, 0, 1, 2, 3, 11, 254, 255) == [255, 0, 1, 2, 255, 255, 255]
    assert relabel(FOUR, plain_ids(4), ignore=("sky",))[0] == classes


def test_a_class_merged_into_another_is_no_class_of_its_own() -> None:
    classes, code = relabel(FOUR, plain_ids(4), labels={"van": "car", 9: "road", 0: "ignore"})
    assert classes.names == ("road", "car")
    assert classes.colors == ((2, 2, 2), (3, 3, 3))
    assert decoded(code, 0, 1, 2, 3, 9, 255) == [255, 0, 1, 1, 0, 255]


def test_keys_of_a_saved_config_are_text_and_mean_the_same() -> None:
    assert decoded(relabel(FOUR, plain_ids(4), labels={"7": "2"})[1], 7) == [2]


def test_labels_from_1_have_0_for_no_class() -> None:
    classes, code = relabel(FOUR, plain_ids(4), reduce_labels=True, ignore=(9,))
    assert classes == FOUR
    assert decoded(code, 0, 1, 4, 9, 255) == [255, 0, 3, 255, 255]
    with pytest.raises(DataError, match="start at 1, but 0 has no class already"):
        relabel(FOUR, code, reduce_labels=True)


def test_colours_are_merged_by_the_names_of_their_classes() -> None:
    code = ColorCode({color: train for train, color in enumerate(FOUR.colors)})
    classes, merged = relabel(FOUR, code, labels={"van": "car"}, ignore=("sky",))
    stored = np.array([FOUR.colors], dtype=np.uint8)
    assert classes.names == ("road", "car")
    assert merged.decode(stored, FILE)[0].tolist() == [255, 0, 1, 1]
    with pytest.raises(DataError, match="expected names, since the masks store colours, got 3"):
        relabel(FOUR, code, labels={3: "car"})


def test_binary_masks_are_0_and_255_in_one_band_or_in_black_and_white() -> None:
    road = Classes(("road",), ((9, 9, 9),))
    classes, code = relabel(road, plain_ids(1), binary=True)
    assert classes.names == ("background", "road")
    assert decoded(code, 0, 1, 255) == [0, 1, 1]
    white = np.array([[[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)
    assert code.decode(white, FILE).tolist() == [[0, 1]]
    with pytest.raises(DataError, match=r"got 127 \(1 pixels\)"):
        decoded(code, 0, 127)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": {"vann": "car"}}, "got 'vann'; did you mean 'van'"),
        ({"labels": {"van": "lorry"}}, "got 'lorry'"),
        ({"labels": {3: 77}}, "expected a label that has a class already, got 77"),
        ({"ignore": (0, 1, 2, 3)}, "expected at least one class left, got none"),
        ({"binary": True}, "expected one or two classes, got 4"),
        ({"binary": True, "ignore": (3,)}, "expected no labels, ignore or reduce_labels"),
    ],
)
def test_refuses_what_cannot_be_meant(options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        relabel(FOUR, plain_ids(4), **options)  # type: ignore[arg-type]


def test_a_value_above_all_classes_by_one_is_answered_with_reduce_labels() -> None:
    with pytest.raises(DataError, match=r"read with data\.reduce_labels=true"):
        decoded(plain_ids(4), 0, 1, 4)
    with pytest.raises(DataError, match=r"without a class in data\.ignore"):
        decoded(plain_ids(4), 0, 9)
    # One class alone: reduce_labels would leave nothing to tell apart.
    with pytest.raises(DataError, match=r"0 and 1 are read with data\.binary=true"):
        decoded(plain_ids(1), 0, 1)


def test_a_dataset_takes_the_settings_in_its_config(tree: Path) -> None:
    options = {"dataset": "folder", "root": tree, "ignore": [0], "labels": {"sky": "big tree"}}
    data = build_dataset(options, split="train")
    plain = build_dataset({"dataset": "folder", "root": tree}, split="train")
    assert data.classes.names == ("big tree",)
    before, after = plain[0].mask, data[0].mask
    assert before is not None
    assert after is not None
    table = np.full(256, 255, dtype=np.uint8)
    table[[1, 2]] = 0
    assert np.array_equal(after, table[before])


def test_each_class_is_described_with_id_colour_and_what_is_stored() -> None:
    classes, code = relabel(FOUR, plain_ids(4), labels={"van": "car"}, ignore=(9,))
    assert describe(classes, code)[2:] == [
        "2 car, colour (3, 3, 3), stored as 2 or 3",
        "no class: stored as 255, 9",
    ]


def test_masks_are_read_as_the_classes_of_another_dataset() -> None:
    own = Classes(
        ("airplane", "person", "sky", "car"), ((1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4))
    )
    labels = {"airplane": "aeroplane", "rest": "background", 255: "background", 9: "ignore"}
    classes, code = relabel(own, plain_ids(4), labels=labels, classes_of="voc")
    assert classes == VOC
    # Of VOC's order: background 0, aeroplane 1, car 7, person 15.
    assert decoded(code, 0, 1, 2, 3, 255, 9) == [1, 15, 0, 7, 0, 255]
    saved = {"airplane": "aeroplane", "rest": "background", "255": "background", "9": "ignore"}
    again = relabel(own, plain_ids(4), labels=saved, classes_of="voc")[1]
    assert decoded(again, 0, 1, 2, 3, 255, 9) == [1, 15, 0, 7, 0, 255]


def test_colours_are_read_as_the_classes_of_another_dataset_too() -> None:
    own = Classes(("person", "sky"), ((2, 2, 2), (3, 3, 3)))
    code = ColorCode({(2, 2, 2): 0, (3, 3, 3): 1})
    new = relabel(own, code, labels={"sky": "ignore"}, classes_of="voc")[1]
    masks = np.array([[[2, 2, 2], [3, 3, 3]]], dtype=np.uint8)
    assert new.decode(masks, FILE)[0].tolist() == [15, 255]


@pytest.mark.parametrize(
    ("labels", "name", "message"),
    [
        ({}, "voc", r"got none for sky, road, van; name them in data\.labels, or give rest"),
        ({"sky": "bakground", "rest": "ignore"}, "voc", "got 'bakground'; did you mean 'backgr"),
        ({"skye": "background", "rest": "ignore"}, "voc", "got 'skye'; did you mean 'sky'"),
        ({}, "folder", "expected a dataset with classes of its own, got 'folder'"),
        ({}, "vock", "got 'vock'; did you mean 'voc'"),
    ],
)
def test_classes_of_another_dataset_are_all_accounted_for(
    labels: dict[int | str, int | str], name: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        relabel(FOUR, plain_ids(4), labels=labels, classes_of=name)
