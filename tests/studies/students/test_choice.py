"""The choice: the cheapest that cannot be told from the best, among those that keep the limit."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.errors import SegdistillError
from segdistill.runs.confusion import ImageCounts, write_image_counts
from segdistill.runs.search import trial_folder
from segdistill.runs.students import Time, Timed, Together, append_timed, write_together
from segdistill.studies.students.choice import choose_student, finished_students

from .conftest import Make


def counts(right: int, images: int = 12) -> np.ndarray:
    """Of two classes of 100 pixels each; some images are a little better than others."""
    of_each = [right + image % 3 for image in range(images)]
    return np.array([[[own, 100 - own], [100 - own, own]] for own in of_each])


def write(out: Path, scores: dict[str, tuple[float, int]]) -> None:
    lines, times = [], {}
    for number, (name, (ms, right)) in enumerate(scores.items()):
        times[name] = Time(ms, ms - 0.1, ms + 1, 0.1, 0.2)
        lines.append(Timed(name, number, 0, "lraspp", {"width": number}, times[name], True))
        run = out / trial_folder("students", 0) / name
        run.mkdir(parents=True)
        empty = np.zeros((1, 2, 2), dtype=np.int64)  # an image without labels counts for nothing
        matrices = np.concatenate([counts(right), empty])
        write_image_counts(run, ImageCounts(tuple(map(str, range(13))), matrices))
    append_timed(out, lines)
    write_together(out, Together(times, (48, 64), "a clock", 1, 0.0))


def test_the_cheapest_wins_where_two_cannot_be_told_apart(tiny: Make, tmp_path: Path) -> None:
    write(tmp_path, {"a": (5.0, 70), "b": (9.0, 90), "c": (4.0, 90), "d": (2.0, 60)})
    verdict = choose_student(tiny(), tmp_path)
    assert verdict.chosen == "c"
    assert set(verdict.equals) == {"b"} - {verdict.best} | {"c"} - {verdict.best}
    assert list(finished_students(tiny(), tmp_path)) == ["d", "c", "a", "b"]


def test_nine_of_ten_passes_have_to_keep_the_limit(tiny: Make, tmp_path: Path) -> None:
    write(tmp_path, {"a": (5.0, 70), "b": (9.0, 90)})
    assert choose_student(tiny("latency.limit_ms=10"), tmp_path).chosen == "b"
    assert choose_student(tiny("latency.limit_ms=9.5"), tmp_path).chosen == "a"
    with pytest.raises(
        SegdistillError, match=r"keeps 5\.5 ms, got 6\.0 ms at the least, of a \(width 0\); allow"
    ):
        choose_student(tiny("latency.limit_ms=5.5"), tmp_path)
