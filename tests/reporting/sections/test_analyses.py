"""Figures of analyses: one a file, words that say what is drawn, SVG that is the page's own."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from segdistill.drawing.figure import Figure
from segdistill.errors import RunFolderError
from segdistill.reporting.sections.analyses import analysis_figures
from segdistill.runs.analyses import Analysis, read_analyses, write_analysis

from .. import analysed


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figure]:
    drawn = analysis_figures(analysed.write_all(tmp_path_factory.mktemp("study")))
    return {figure.title: figure for figure in drawn}


def test_draws_each_file_that_is_there(figures: dict[str, Figure]) -> None:
    assert list(figures) == [
        "How soft the teacher is",
        "Lengths of the features while training",
        "What the critic of kl sees",
        "Embeddings of pixels",
        "Affinity to a point of pole <thin>",
        "Activations of backbone on street & square",
        "Image by image against plain",
        "How soft the teacher is: large to small",
    ]


def test_draws_nothing_where_nothing_was_analysed(tmp_path: Path) -> None:
    assert analysis_figures(tmp_path) == []
    values = analysed.magnitudes() | {"networks": {}}
    write_analysis(tmp_path, Analysis("", "magnitudes", values))
    assert analysis_figures(tmp_path) == []


@pytest.mark.long
def test_a_file_with_other_values_is_named(tmp_path: Path) -> None:
    said = []
    for analysis in read_analyses(analysed.write_all(tmp_path / "study")):
        for key in analysis.values.keys() - {"format"}:
            broken = replace(analysis, pair="", values={**analysis.values, key: None})
            write_analysis(tmp_path / analysis.name, broken)
            try:
                analysis_figures(tmp_path / analysis.name)
            except RunFolderError as error:
                said.append(f"{analysis.name}.json: expected the values and pictures" in str(error))
    assert len(said) > 10
    assert all(said)


def test_every_picture_is_well_formed_and_takes_its_colours_from_the_page(
    figures: dict[str, Figure],
) -> None:
    for figure in figures.values():
        root = ElementTree.fromstring(figure.svg)
        assert root.tag.endswith("svg")
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib
        assert root.attrib["aria-hidden"] == "true"
        assert not re.findall(r"(?:fill|stroke)[:=]\s*\"?#", figure.svg)
        assert "http://www.w3.org/1999/xhtml" not in figure.svg
        assert "<script" not in figure.svg
        assert set(re.findall(r"font-family: ([^;\"]+)", figure.svg)) <= {"inherit"}


def test_ids_are_unique_within_the_page_and_all_referred_to(figures: dict[str, Figure]) -> None:
    page = "".join(figure.svg for figure in figures.values())
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(ids) == set(re.findall(r'(?:url\(#|href="#)([^")]+)', page))


def test_captions_and_alternatives_carry_the_numbers(figures: dict[str, Figure]) -> None:
    soft = figures["How soft the teacher is"]
    assert "4,096 pixels of 2 val images" in soft.caption
    assert "One seed (seed 3). After Niemann et al. 2023, Sec. 5.3 and Fig. 1." in soft.caption
    assert "0.25 at T = 1, 0.75 at T = 4, of at most 1.10 nats" in soft.alt
    assert "80 % of the pixels are in the lowest bin" in soft.alt
    lengths = figures["Lengths of the features while training"]
    assert "N = 2,048 its values; tap backbone, weight 2." in lengths.caption
    assert "kl: n from 32 to 8, m 8, mn/N 0.125 to 0.03" in lengths.alt
    critic = figures["What the critic of kl sees"]
    assert "(step 1,200)" in critic.caption
    assert "+0.25 for plain, +0.00 for kl" in critic.alt
    images = figures["Image by image against plain"]
    assert "mean over 6 seeds" in images.caption
    assert "kl: better on 3, worse on 1 of 5; angular: better on 2" in images.alt
    places = figures["Embeddings of pixels"]
    assert "30 pixels' features of the tap head" in places.caption
    assert "plain 50 %, kl 60 %, angular 70 %" in places.alt
    assert "(teacher: 90 %)" in places.caption
    near = figures["Affinity to a point of pole <thin>"]
    assert "marked point in street & square" in near.caption
    assert "point of pole <thin>: plain 0.12, kl 0.25" in near.alt


@pytest.mark.long
def test_methods_have_the_colours_that_the_page_gives_them(tmp_path: Path) -> None:
    folder = analysed.write_all(tmp_path)
    title = "What the critic of kl sees"
    (own,) = [one for one in analysis_figures(folder) if one.title == title]
    assert {"--s1", "--s2"} == set(re.findall(r"--s\d", own.svg))
    given = analysis_figures(folder, colors={"kl": "--s6"})
    (given_own,) = [one for one in given if one.title == title]
    assert {"--s1", "--s6"} == set(re.findall(r"--s\d", given_own.svg))
