"""The site of the docs: every page is in its navigation, and it loads nothing from elsewhere."""

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from build_site import ROOT, build, pages

CONFIG = tomllib.loads((ROOT / "docs" / "zensical.toml").read_text(encoding="utf-8"))["project"]


def test_every_page_is_in_the_navigation_once() -> None:
    entries = list(CONFIG["nav"])
    found = []
    while entries:
        (inside,) = entries.pop().values()
        if isinstance(inside, str):
            found.append(inside)
        else:
            entries += inside
    assert sorted(found) == sorted(page.relative_to(ROOT).as_posix() for page in pages())


def test_equations_become_mathml() -> None:
    pytest.importorskip("latex2mathml")
    markdown = pytest.importorskip("markdown")
    written = markdown.markdown(
        r"Where $x_i < 0$ and `$VAR`:" + "\n\n" + r"$$L = \Big\| \arg\max_k x \Big\|_2^2$$",
        extensions=["pymdownx.arithmatex", "equations"],
        extension_configs={"pymdownx.arithmatex": {"generic": True}},
    )
    tree = ElementTree.fromstring(f"<html>{written}</html>")
    inline, display = tree.iter("{http://www.w3.org/1998/Math/MathML}math")
    assert (inline.get("display"), "".join(inline.itertext())) == ("inline", "xi<0")
    assert (display.get("display"), "".join(display.itertext())) == ("block", "L=‖argmaxkx‖22")
    assert "<code>$VAR</code>" in written


def test_an_equation_that_cannot_be_converted_is_refused() -> None:
    pytest.importorskip("latex2mathml")
    markdown = pytest.importorskip("markdown")
    with pytest.raises(ValueError, match=r"expected LaTeX that can be converted, got \\wrong in"):
        markdown.markdown(
            r"$\wrong x$",
            extensions=["pymdownx.arithmatex", "equations"],
            extension_configs={"pymdownx.arithmatex": {"generic": True}},
        )


@pytest.mark.long
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    pytest.importorskip("zensical")
    site = build(tmp_path).parent
    for page in pages():
        name = page.relative_to(ROOT).with_suffix(".html").as_posix()
        html = (site / name.replace("README", "index")).read_text(encoding="utf-8")
        loads = re.findall(r"<(?:script|link|img|iframe|source|video|audio|object)\b[^>]*", html)
        assert [tag for tag in loads if re.search(r"""=["']?(?:https?:)?//""", tag)] == []
        assert "arithmatex" not in html, f"{name}: an equation was left"
        assert 'class="mermaid"' not in html, f"{name}: its script would be loaded from elsewhere"
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert re.findall(r"@import|url\(['\"]?(?:https?:)?//", text) == [], style
