"""The file of a search of students: what it allows, and what is answered to a mistake."""

from typing import Any

import pytest

from segdistill.config import Tree, check_search, override
from segdistill.config.identity import differing, identity_of_search
from segdistill.config.students import all_students, count_students
from segdistill.errors import ConfigError

SEARCH: Tree = {
    "data": {"dataset": "scenes", "crop": [32, 48]},
    "teacher": {"network": "fcn", "backbone": "resnet10t", "untrained": True},
    "students": {
        "lraspp": {"backbone": "mobilenetv2_035", "output_stride": [16, 32], "width": [8, 16]},
        "thin": {"network": "espnet_c", "repeats": [[2, 8], [2, 4]]},
    },
    "training": {"steps": 4},
}


def test_a_space_has_every_combination_of_a_familys_values() -> None:
    families = check_search(SEARCH).families
    students = list(all_students(families))
    assert len(students) == count_students(families) == 2 * 2 + 2
    assert students[1] == (
        "lraspp",
        {"network": "lraspp", "backbone": "mobilenetv2_035", "output_stride": 16, "width": 16},
    )
    assert students[-1] == ("thin", {"network": "espnet_c", "repeats": [2, 4]})


def test_a_search_is_written_and_read_back_with_its_students_and_as_the_same() -> None:
    search = check_search({**SEARCH, "students": None})
    again = check_search(search.tree())
    assert again.hash() == search.hash()
    assert len(again.families) > 10, "the catalogue's"
    assert again.students is not None


def test_seeds_trials_and_engine_may_change_and_the_space_may_not() -> None:
    before = identity_of_search(check_search(SEARCH))
    words = ["seeds=5", "search.trials=99", "search.cohort=1", "engine.threads=1"]
    now = check_search(override(SEARCH, [*words, "data.workers=1"]))
    assert differing(before, identity_of_search(now)) == {}
    now = check_search(override(SEARCH, ["students.lraspp.width=[8]", "latency.limit_ms=3"]))
    assert set(differing(before, identity_of_search(now))) == {
        "students.lraspp.width",
        "latency.limit_ms",
    }


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("studens={}", "unknown key 'studens'; did you mean 'students'"),
        ("students={}", "expected at least one family"),
        ("students.lraspp.widht=[8]", r"unknown key 'students\.lraspp\.widht'; did you mean"),
        ("students.lraspp.width=[8, none]", r"students\.lraspp\.width: expected"),
        ("students.lraspp.width=[8, 8]", "expected distinct values to try, got"),
        ("students.lraspp.width=[]", r"expected distinct values to try, got \[\]"),
        ("students.lrasp={}", r"students\.lrasp\.network: there is no network 'lrasp'"),
        ("students.lraspp.output_stride=[5]", r"students\.lraspp\.output_stride: expected"),
        ("students.lraspp.width=" + str(list(range(1, 5002))), "at most 10,000 students"),
        ("latency.limit_ms=0", r"latency\.limit_ms: expected"),
        ("latency.limit=3", "unknown key 'latency.limit'; did you mean 'limit_ms'"),
        ("search.sampler=grid", r"search\.sampler: expected"),
        ("distill=[{loss: pixelwise}]", r"distill\.0\.loss: there is no loss"),
        ("evaluation.split=train", "expected a split on which students are not chosen"),
        ("seeds=0", "expected distinct seeds"),
        ("seeds=41", "expected at most 40"),
        ("engine.memory_mib=9", "set search.cohort"),
        ("teacher=null", "teacher: expected"),
    ],
)
def test_a_mistake_is_answered_in_one_line(word: str, answer: str) -> None:
    with pytest.raises(ConfigError, match=answer):
        check_search(override(SEARCH, [word]))


@pytest.mark.parametrize("key", ["data", "teacher", "training"])
def test_what_is_missing_is_named(key: str) -> None:
    tree: dict[str, Any] = {name: part for name, part in SEARCH.items() if name != key}
    with pytest.raises(ConfigError, match=f"^{key}: expected .*, got none; add it"):
        check_search(tree)
