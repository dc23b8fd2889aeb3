"""Forest plots: each line's numbers, its seeds, and what is drawn solid."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from segdistill.reporting.intervals import Line, forest
from segdistill.reporting.sections.forest import forest_plots, show
from segdistill.studies.statistics import Interval

from ..folders import make_study
from ..material import of_study_folder


def test_draws_one_line_per_difference_and_says_it_in_words() -> None:
    lines = [
        Line("kl", Interval(0.01, 0.02, 0.03), [0.01, 0.03], True, "--s2"),
        Line("lad", Interval(-0.01, 0.0, 0.01), [-0.01, 0.01], False, "--s3"),
    ]
    figure = forest(lines, title="Difference", caption="c", name="f")
    assert ElementTree.fromstring(figure.svg).tag.endswith("svg")
    assert figure.alt == (
        "Difference, mIoU points. kl: +2.0  (+1.0 to +3.0), claimed; lad: 0.0  (−1.0 to +1.0)."
    )
    solid, hollow = (figure.svg.count(f"fill: var({color})") for color in ("--s2", "--s3"))
    assert solid == hollow + 1, "what is not claimed is hollow"
    assert not re.findall(r"(?:fill|stroke): #", figure.svg)


def test_a_study_has_a_plot_per_pair_with_the_seeds_that_are_compared(tmp_path: Path) -> None:
    folder = make_study(
        tmp_path / "study", pairs=("small", "large"), seeds=4, failed={("kl", 1): "got nan"}
    )
    material = of_study_folder(folder)
    figures = forest_plots(material)
    assert [figure.title for figure in figures] == [
        "Difference to plain: small",
        "Difference to plain: large",
    ]
    # A run that failed takes its seed from its own method alone.
    for name, seeds in (("kl (small)", 3), ("lad (small)", 4)):
        method = next(one for one in material.groups if one.label == name)
        assert method.comparison is not None
        values = method.summary.differences.values()
        assert len(values) == seeds
        assert sum(values) / seeds == pytest.approx(method.comparison.difference.estimate)


def test_one_seed_has_no_interval_to_draw(tmp_path: Path) -> None:
    assert show(of_study_folder(make_study(tmp_path / "s", seeds=1))) is None
