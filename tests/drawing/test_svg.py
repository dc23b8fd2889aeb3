"""SVG for the page: well formed, in the page's colours and font, with text that can be read."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from segdistill.drawing.svg import BLACK, TEXT_SIZE, WHITE, blank, ink, tidy, to_svg


def chart(name: str = "c") -> str:
    figure, axes = blank(3.0)
    axes.plot([0, 1], [1, 2], color=ink("--s2"), label="kl", marker="o")
    axes.plot([0.5], [1.5], "+", color=BLACK)
    axes.plot([0.5], [1.2], "+", color=WHITE)
    axes.plot([0, 1], [2, 1], color="#804020")
    axes.secondary_yaxis("right").set_yticks([1.5], ["numbers beside"])
    axes.legend()
    tidy(axes, "mIoU, %", "step")
    return to_svg(figure, name)


def test_is_one_well_formed_picture_without_a_size() -> None:
    root = ElementTree.fromstring(chart())
    assert root.tag.endswith("svg")
    assert "viewBox" in root.attrib
    assert "width" not in root.attrib


def test_takes_colours_and_font_from_the_page() -> None:
    svg = chart()
    assert "var(--s2)" in svg
    assert "currentColor" in svg
    assert "color-mix(in srgb, #804020 86%, currentColor)" in svg
    assert not re.findall(r"(?:fill|stroke): #", svg)
    assert {"stroke: black", "stroke: white"} <= set(re.findall(r"stroke: (?:black|white)", svg))
    assert set(re.findall(r"font-family: ([^;\"]+)", svg)) == {"inherit"}
    assert "<style" not in svg


def test_all_text_is_at_least_twelve_pixels_on_a_phone() -> None:
    svg = chart()
    width = float(ElementTree.fromstring(svg).attrib["viewBox"].split()[2])
    sizes = {float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)}
    texts = [one for one in ElementTree.fromstring(svg).iter() if one.tag.endswith("text")]
    assert "numbers beside" in {"".join(text.itertext()) for text in texts}
    assert sizes == {TEXT_SIZE}
    # A phone is 390 wide; the page leaves 16 on either side, the chart's card 13.
    assert min(sizes) * (390 - 2 * (16 + 13)) / width >= 12


def test_ids_are_prefixed_and_all_referred_to() -> None:
    svg = chart("name")
    ids = re.findall(r' id="([^"]+)"', svg)
    assert set(ids) == set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    assert len(ids) == len(set(ids))
    assert all(one.startswith("name-") for one in ids)


def test_is_the_same_bytes_each_time() -> None:
    assert chart() == chart()


@pytest.mark.parametrize("color", ["--s0", "--s6"])
def test_every_colour_of_the_page_has_a_stand_in(color: str) -> None:
    figure, axes = blank(2.0)
    axes.axhline(0, color=ink(color))
    assert f"var({color})" in to_svg(figure, "x")
