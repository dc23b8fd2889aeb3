"""Classes: differences by seed, corrected over the classes."""

from pathlib import Path

import pytest

from segdistill.reporting.material import Material
from segdistill.reporting.sections.classes import class_plots, class_rows, show

from ..folders import NAMES, make_cohort, make_run
from ..material import of_runs


def seeded(folder: Path, gains: tuple[float, float, float, float], seeds: int = 8) -> Material:
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
    return of_runs(runs)


def test_finds_the_classes_that_changed_and_corrects_for_their_number(tmp_path: Path) -> None:
    groups = seeded(tmp_path, (0.02, 0.0, -0.03, 0.01)).groups
    found = groups[1].summary.classes
    assert list(found) == list(NAMES[:4])
    assert found["sky"].difference.estimate == pytest.approx(0.0205)
    assert found["sky"].p_holm == pytest.approx(4 * 2 / 2**8)
    assert found["sky"].claims()
    assert found["sky"].deviation == pytest.approx(0.000534, abs=1e-6)
    assert found["road"].difference.estimate == pytest.approx(-0.0295)
    assert groups[0].summary.classes == {}


def test_rows_have_a_cell_a_group_and_bars_relative_to_the_largest(tmp_path: Path) -> None:
    rows = class_rows(seeded(tmp_path, (0.02, 0.0, -0.03, 0.01)).groups)
    assert [row["name"] for row in rows] == list(NAMES)
    assert rows[0]["color"] == "#808080"
    road = rows[2]["cells"][1]
    assert road.width == 50
    assert road.tested
    absent = rows[4]["cells"][1]
    assert (absent.value, absent.change, absent.comparison) == (None, None, None)


def test_one_seed_has_changes_and_no_test(tmp_path: Path) -> None:
    material = of_runs(make_cohort(tmp_path))
    cells = class_rows(material.groups)[0]["cells"]
    assert cells[2].change == pytest.approx(0.027)
    assert not cells[2].tested
    assert class_plots(material) == []


def test_plots_put_the_largest_gain_first(tmp_path: Path) -> None:
    (figure,) = class_plots(seeded(tmp_path, (0.02, 0.0, -0.03, 0.01)))
    assert figure.title == "kl"
    places = [figure.alt.index(name) for name in ("sky", "car", "building", "road")]
    assert places == sorted(places)
    assert "IoU points" in figure.alt


def test_runs_of_other_images_have_a_table_of_their_own(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / "a", name="a"),
        make_run(tmp_path / "b", name="b", losses=["kl"], changed={"images": 233}),
    ]
    tables = show(of_runs(runs))["tables"]
    assert [table["panel"] for table in tables] == [
        "camvid, 101 val images",
        "camvid, 233 val images",
    ]
    assert [[group.label for group in table["groups"]] for table in tables] == [["a"], ["b"]]
