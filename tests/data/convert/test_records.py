"""Classes in order, and masks painted region over region."""

import numpy as np
import pytest

from segdistill.data.convert.records import Canvas, check_stated, order_classes
from segdistill.errors import DataError


def test_void_names_have_no_class_and_a_background_takes_unlabelled_pixels() -> None:
    palette = order_classes(["_background_", "car", "Void", "road"], None)
    assert palette.classes.names == ("_background_", "car", "road")
    assert (palette.ids["Void"], palette.ids["road"], palette.unlabelled) == (255, 2, 0)


def test_a_stated_background_is_made_first_or_taken_from_the_names() -> None:
    assert order_classes(["car"], "rest").classes.names == ("rest", "car")
    assert order_classes(["car", "rest"], "rest").unlabelled == 1
    assert order_classes(["car", "road"], None).unlabelled == 255


def test_given_colours_stay_and_made_ones_differ_from_them() -> None:
    colors = order_classes(["a", "b", "c"], None, {"b": (242, 85, 85)}).classes.colors
    assert colors[1] == (242, 85, 85)
    assert len(set(colors)) == 3


def test_names_fit_a_line_of_the_class_file() -> None:
    assert order_classes(["a, b", "#c\n d"], None).classes.names == ("a b", "c d")


@pytest.mark.parametrize("names", [["car"], ["car", "void"], [], [str(i) for i in range(255)]])
def test_refuses_classes_that_nothing_can_be_learnt_of(names: list[str]) -> None:
    with pytest.raises(DataError, match=r"convert: expected (at least two|2)"):
        order_classes(names, None)


def test_later_regions_lie_on_top_and_what_they_cover_is_counted() -> None:
    canvas = Canvas((2, 4), 255)
    canvas.paint(np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool), 0)
    canvas.paint(np.array([[0, 1, 1, 1], [0, 0, 0, 0]], bool), 1)
    canvas.paint(np.array([[0, 0, 0, 1], [0, 0, 0, 0]], bool), 1)
    ids, counts = canvas.drawn()
    assert ids.tolist() == [[0, 1, 1, 1], [255] * 4]
    assert counts["pixels where regions of different classes overlap"] == 2
    assert counts["unlabelled pixels"] == 4


def test_an_annotation_of_another_size_is_refused() -> None:
    check_stated((20, 30), 20, 30)
    check_stated((20, 30), None, None)
    with pytest.raises(DataError, match="of the image's size 30×20, got 20×30"):
        check_stated((20, 30), 30, 20)
