"""Where the chance lies: shares as the study wrote them, the median, nothing before its end."""

from types import SimpleNamespace
from typing import Any

from segdistill.reporting.sections import chance, shifts


def material(methods: dict[str, Any], repeats: int = 1) -> Any:
    results = {"repeats": repeats, "pairs": {"student": {"methods": methods}}} if methods else {}
    return SimpleNamespace(study=SimpleNamespace(results=results))


KL = {
    "chance": {
        "variance": {"search": 4e-4, "seed": 1e-4, "images": None},
        "shares": {"search": 0.8, "seed": 0.2},
    },
    "median_of_searches": 0.32,
}


def test_a_row_has_deviations_in_points_and_the_median_against_plains() -> None:
    plain = {"chance": None, "median_of_searches": 0.30}
    shown = chance.show(material({"plain": plain, "kl": KL}, repeats=4))
    assert shown is not None
    (row,) = shown["rows"]
    assert row["method"] == "kl"
    assert {name: value and round(value, 9) for name, value in row["deviations"].items()} == {
        "search": 2.0,
        "seed": 1.0,
        "images": None,
    }
    assert round(row["median"], 9) == 0.02
    assert shown["several_searches"]


def test_nothing_is_shown_before_a_study_has_ended() -> None:
    assert chance.show(material({})) is None
    assert shifts.show(material({})) is None
    assert chance.show(SimpleNamespace(study=None)) is None  # type: ignore[arg-type]


def test_columns_are_those_that_any_method_has() -> None:
    column = {"mean": 0.3, "against_plain": None}
    shown = shifts.show(
        material({"plain": {"further": {"ECE": column}}, "kl": {"further": {"noise 3": column}}})
    )
    assert shown is not None
    (table,) = shown["tables"]
    assert table["columns"] == ["ECE", "noise 3"]
