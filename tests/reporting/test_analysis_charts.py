"""Charts of the analyses: what was found is what is drawn."""

import re
import xml.etree.ElementTree as ElementTree

from segdistill.reporting.analysis_charts import (
    critic_chart,
    difference_chart,
    entropy_chart,
    magnitude_chart,
)

from . import found

COLORS = {"plain": "--s1", "kl": "--s2", "angular": "--s3", "teacher": "--s0"}


def words(svg: str) -> str:
    return " ".join("".join(text.itertext()).strip() for text in _texts(svg))


def _texts(svg: str) -> list[ElementTree.Element]:
    return [one for one in ElementTree.fromstring(svg).iter() if one.tag.endswith("text")]


def test_every_temperature_has_a_histogram_and_its_mean() -> None:
    svg = entropy_chart(found.entropy(), "e")
    assert "T = 1, mean 0.25" in words(svg)
    assert "T = 4, mean 0.75" in words(svg)
    assert {"--s1", "--s2"} == set(re.findall(r"--s\d", svg))


def test_lengths_of_student_and_teacher_have_colours_apart() -> None:
    rows = {"kl": found.magnitudes()["networks"]["kl"]}
    svg = magnitude_chart(rows, COLORS, "m")
    assert "n, kl" in words(svg)
    assert "m, teacher" in words(svg)
    lines = re.findall(r'<path d="([^"]+)"[^>]*stroke: var\((--s\d)\)', svg)
    long = [color for path, color in lines if path.count("L") == 3]
    assert sorted(long) == ["--s0", "--s2", "--s2"]


def test_a_critics_scores_are_in_the_order_of_the_first_student() -> None:
    gaps = found.critic()["critics"]["kl"]["gaps"]
    svg = critic_chart(gaps, COLORS, "c")
    assert "plain, mean +0.25" in words(svg)
    assert "kl, mean +0.00" in words(svg)
    uses = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*stroke: var\(--s1\)', svg)
    heights = [float(y) for _, y in uses[:3]]
    assert heights == sorted(heights, reverse=True)


def test_differences_rise_from_the_worst_image_to_the_best() -> None:
    svg = difference_chart(found.images()["methods"], COLORS, "d")
    assert "kl: 75 % better" in words(svg)
    assert "angular: 50 % better" in words(svg)
    (path,) = [
        path
        for path, color in re.findall(r'<path d="([^"]+)"[^>]*stroke: var\((--s\d)\)', svg)
        if color == "--s2" and path.count("L") == 3
    ]
    heights = [float(y) for _, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path)]
    assert heights == sorted(heights, reverse=True)
