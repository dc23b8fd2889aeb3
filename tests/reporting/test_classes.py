"""Classes: differences by seed, corrected over the classes."""

from pathlib import Path

import pytest

from segdistill.reporting.classes import class_comparisons, class_plots, class_rows
from segdistill.reporting.groups import Group, group
from segdistill.reporting.runs import read_runs

from .folders import NAMES, make_cohort, make_run


def seeded(folder: Path, gains: tuple[float, float, float, float], seeds: int = 8) -> list[Group]:
    runs = []
    for seed in range(seeds):
        base = 0.35 + 0.01 * (seed % 3)
        wobble = 0.001 * (seed % 2)
        spread = [
            one + gain + wobble for one, gain in zip((0.3, 0.1, -0.1, -0.3), gains, strict=True)
        ]
        runs.append(make_run(folder / f"p{seed}", name="plain", miou=base, seed=seed))
        kl = make_run(
            folder / f"k{seed}", name="kl", miou=base, losses=["kl"], seed=seed, spread=spread
        )
        runs.append(kl)
    return group(read_runs(runs))


def test_finds_the_classes_that_changed_and_corrects_for_their_number(tmp_path: Path) -> None:
    groups = seeded(tmp_path, (0.02, 0.0, -0.03, 0.01))
    found = class_comparisons(groups[1], groups)
    assert list(found) == list(NAMES[:4])
    assert found["sky"].difference.estimate == pytest.approx(0.0205)
    assert found["sky"].p_holm == pytest.approx(4 * 2 / 2**8)
    assert found["sky"].claims()
    assert found["sky"].deviation == pytest.approx(0.000534, abs=1e-6)
    assert found["road"].difference.estimate == pytest.approx(-0.0295)
    assert class_comparisons(groups[0], groups) == {}


def test_rows_have_a_cell_a_group_and_bars_relative_to_the_largest(tmp_path: Path) -> None:
    groups = seeded(tmp_path, (0.02, 0.0, -0.03, 0.01))
    rows = class_rows(groups)
    assert [row["name"] for row in rows] == list(NAMES)
    assert rows[0]["color"] == "#808080"
    road = rows[2]["cells"][1]
    assert road.width == 50
    assert road.found is not None
    absent = rows[4]["cells"][1]
    assert (absent.value, absent.change, absent.found) == (None, None, None)


def test_one_seed_has_changes_and_no_test(tmp_path: Path) -> None:
    groups = group(read_runs(make_cohort(tmp_path)))
    cells = class_rows(groups)[0]["cells"]
    assert cells[2].change == pytest.approx(0.027)
    assert cells[2].found is None
    assert class_plots(groups) == []


def test_plots_put_the_largest_gain_first(tmp_path: Path) -> None:
    (figure,) = class_plots(seeded(tmp_path, (0.02, 0.0, -0.03, 0.01)))
    assert figure.title == "kl"
    places = [figure.alt.index(name) for name in ("sky", "car", "building", "road")]
    assert places == sorted(places)
    assert "IoU points" in figure.alt
