"""A search of students so small that each of its runs takes a quarter of a second."""

from collections.abc import Callable, Mapping

import pytest

from segdistill.config import StudentSearchConfig, Tree, check_search, override
from segdistill.runs.students import Time, Together

from ..conftest import SMALL

Make = Callable[..., StudentSearchConfig]

SEARCH: Tree = {
    **{key: SMALL[key] for key in ("data", "teacher", "training", "evaluation", "engine")},
    "students": {
        "lraspp": {"backbone": "mobilenetv2_035", "output_stride": [16, 32], "width": [8, 16, 24]},
    },
    "search": {"trials": 3, "parallel": 2, "holdout": 0.3, "pruning": {"rungs": 1}},
    "seeds": 1,
}


@pytest.fixture(scope="session")
def tiny() -> Make:
    """Return a function from override words to a small search."""

    def make(*words: str) -> StudentSearchConfig:
        return check_search(override(SEARCH, words))

    return make


class FakeClock:
    """Takes the width for the milliseconds, and remembers whom it timed."""

    def __init__(self, refuse: int | None = None) -> None:
        self.refuse = refuse
        self.timed: list[str] = []

    def __call__(self, students: Mapping[str, Tree]) -> tuple[Together, Mapping[str, str]]:
        self.timed += students
        refused = {n: "too wide" for n, own in students.items() if own["width"] == self.refuse}
        times = {
            name: Time(own["width"], own["width"] - 1, own["width"] + 1, 0.1, 0.2)
            for name, own in students.items()
            if name not in refused
        }
        return Together(times, (48, 64), "a clock", 1, 0.0), refused
