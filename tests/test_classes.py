"""Class names of a file against those of the data."""

import pytest

from segdistill.classes import (
    classes_fault,
    compose_class_maps,
    match_classes,
    resolve_class_map,
)


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


OWN = ("road", "Traffic Light", "car", "truck")


def test_two_class_maps_one_after_the_other() -> None:
    own = (2, None, (0, 4), 1)
    assert compose_class_maps(own, (3, 1, None, (2, 0))) == (1, None, None, (0, 4, 2))


def test_a_class_map_takes_names_numbers_lists_and_null() -> None:
    given = ["car", 0, None, ["car", "truck", 1], "traffic_light"]
    assert resolve_class_map(given, OWN, "abcde") == (2, 0, None, (2, 3, 1), 1)
    assert resolve_class_map([1, None], (), ()) == (1, None)


@pytest.mark.parametrize(
    ("class_map", "own", "message"),
    [
        (["trock", 0], OWN, "a class of the network, got 'trock'; did you mean 'truck'"),
        (["car", 0], (), "got 'car', and nothing says what its classes are called"),
        ([0], OWN, r"an entry for each of the 2 classes of the data \(sky, sea\), got 1"),
        ([[], 0], OWN, "got an empty list; write null"),
    ],
)
def test_refuses_class_maps_that_do_not_fit(
    class_map: list[int | str], own: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=f"class_map: .*{message}"):
        resolve_class_map(class_map, own, ("sky", "sea"))


FAULTS: list[tuple[list[str], list[tuple[int, ...]], str]] = [
    ([], [], "names of classes, got none"),
    (["road"], [(0, 0, 0)] * 3, "one colour per class, got 3 for 1"),
    (["road", "road"], [(0, 0, 0)] * 2, "a different name for each class, got 'road' twice"),
    (["road", " "], [(0, 0, 0)] * 2, "can be printed, got ' '"),
    (["a\0"], [(0, 0, 0)], r"can be printed, got 'a\x00'"),
    (["\u202edaor"], [(0, 0, 0)], r"can be printed, got '\u202edaor'"),
    (["\x1b[31mroad"], [(0, 0, 0)], "can be printed"),
    (["road"], [(1000000000, -1, 2)], "levels from 0 to 255, got (1000000000, -1, 2)"),
]


@pytest.mark.parametrize(("names", "colors", "said"), FAULTS)
def test_what_is_wrong_with_classes_is_said(
    names: list[str], colors: list[tuple[int, ...]], said: str
) -> None:
    assert said in classes_fault(names, colors)


def test_names_of_every_writing_are_right() -> None:
    names = ["Straße", "道路", "می\u200cخواهم", "a\xa0b", "חתול"]
    assert classes_fault(names, [(0, 128, 255)] * 5) == ""
