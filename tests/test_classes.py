"""Class names of a file against those of the data."""

import pytest

from segdistill.classes import match_classes


def test_equal_names_keep_their_places() -> None:
    assert match_classes(["road", "sky", "car"], ["road", "sky", "car"]) == (0, 1, 2)


def test_another_order_is_mapped_by_name() -> None:
    assert match_classes(["sky", "car", "road"], ["road", "sky", "car"]) == (2, 0, 1)


def test_capitals_and_separators_are_no_difference() -> None:
    assert match_classes(["Traffic Light", "SKY"], ["sky", "traffic_light"]) == (1, 0)
    assert match_classes(["traffic-light"], ["traffic  light"]) == (0,)


def test_a_file_may_know_more_classes() -> None:
    assert match_classes(["road", "fence", "sky"], ["sky", "road"]) == (2, 0)


def test_equal_names_may_repeat() -> None:
    assert match_classes(["void", "void"], ["void", "void"]) == (0, 1)


@pytest.mark.parametrize(
    ("file_names", "data_names", "message"),
    [
        (["road", "sky"], ["road", "car"], "got car missing among road, sky; .*class_map"),
        (["road"], [str(n) for n in range(9)], r"got 0, 1, 2, 3, 4 and 4 more missing among road"),
        (["a", "A"], ["a", "b"], "got 'A' twice"),
        (["a", "b"], ["b", "B"], "got 'B' twice"),
    ],
)
def test_refuses_names_that_it_cannot_match(
    file_names: list[str], data_names: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=f"classes: .*{message}"):
        match_classes(file_names, data_names)
