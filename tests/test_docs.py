"""Pages and files that are made from the tables are in step with them."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import generate
import pytest

import segdistill
from segdistill import data, losses, models, testing
from segdistill.config.loading import read
from segdistill.files import read_json

ROOT = Path(__file__).parents[1]


def test_the_reference_recipe_is_in_step_with_the_config() -> None:
    assert generate.RECIPE.read_text(encoding="utf-8") == generate.reference(), "run make docs"


def test_the_reference_study_is_in_step_with_the_config() -> None:
    assert generate.STUDY.read_text(encoding="utf-8") == generate.study_reference(), "run make docs"


def test_the_reference_search_is_in_step_with_the_config() -> None:
    assert generate.SEARCH.read_text(encoding="utf-8") == generate.search_reference(), (
        "run make docs"
    )


def test_the_list_of_backbones_is_in_step_with_timm() -> None:
    listed = generate.BACKBONES.read_text(encoding="utf-8")
    if listed.splitlines()[0] != generate.first_line(version("timm")):
        pytest.skip("another timm than the one that was listed, which then answers itself")
    assert listed == generate.backbones_list(), "run make docs"


def test_the_datasets_page_is_in_step_with_the_table() -> None:
    assert generate.DATASETS_PAGE.read_text(encoding="utf-8") == generate.datasets_page(), (
        "run make docs"
    )


def test_the_losses_page_is_in_step_with_the_table() -> None:
    assert generate.LOSSES_PAGE.read_text(encoding="utf-8") == generate.losses_page(), (
        "run make docs"
    )


def test_the_page_of_python_is_in_step_with_the_docstrings() -> None:
    assert generate.API_PAGE.read_text(encoding="utf-8") == generate.api_page(), "run make docs"


def test_the_page_of_python_has_every_public_name() -> None:
    described = {
        name
        for page in (generate.API_PAGE, generate.LOSSES_PAGE)
        for name in re.findall(r"\w+", page.read_text(encoding="utf-8"))
    }
    for package in (segdistill, losses, models, data, testing):
        assert set(package.__all__) <= described


def test_the_compatibility_page_is_in_step_with_what_was_measured() -> None:
    assert generate.COMPATIBILITY_PAGE.read_text(encoding="utf-8") == (
        generate.compatibility_page()
    ), "run make docs"


def test_the_parity_page_is_in_step_with_what_was_measured() -> None:
    assert generate.PARITY_PAGE.read_text(encoding="utf-8") == generate.parity_page(), (
        "run make docs"
    )


def test_links_between_the_repositorys_pages_lead_somewhere() -> None:
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    for page in (*pages, *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_front_of_the_page_on_searching_is_what_was_found() -> None:
    done = read_json(ROOT / "benchmarks" / "results" / "search_scenes.json")
    page = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    rows = []
    for one in done["front"]:
        settings = [f"{key}={value}" for key, value in one["student"].items() if key != "network"]
        score, low, high = (100 * value for value in (one["miou"], *one["interval"]))
        interval = f"{score:.2f} ({low:.2f} to {high:.2f})"
        rows.append(f"| {one['name']} | `{' '.join(settings)}` | {one['ms']:.1f} | {interval} |")
    assert "\n".join(rows) in page
    final = done["found"]["final"]
    assert f"{100 * final['mean']:.2f} ± {100 * final['deviation']:.2f} %" in page
    assert f"({100 * final['low']:.2f} to {100 * final['high']:.2f} over images)" in page


def test_the_losses_that_were_measured_are_those_on_the_page() -> None:
    results = ROOT / "benchmarks" / "results"
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    plain = (results / "losses.md").read_text(encoding="utf-8")
    for row in read_json(results / "losses.json")["rows"]:
        cells = f"| `{row['loss']}` | {'×'.join(map(str, row['shape']))} |"
        assert page.count(f"\n{cells}") == 1
        assert row["loss"] in plain


def test_figures_of_recipes_are_those_of_todays_terms_or_marked() -> None:
    """A dagger is where the terms that were trained are not those of the recipe today."""
    results = ROOT / "benchmarks" / "results"
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    today = read_json(results / "recipes.json")["recipes"]
    for name, result in today.items():
        again = " ‡" if "diverged_before" in result else ""
        if "miou" in result:
            cell = f"{100 * result['miou']:.1f}{again} |"
        else:
            cell = "diverged" if "diverged" in result else f"stopped at {result['stopped_at']} |"
        assert f"\n| {name}{_mark(name, result)} | {cell}" in page
    earlier = read_json(results / "recipes_e132dc0.json")
    assert f"commit {earlier['commit'][:7]}, and have not been repeated" in page
    for name, result in earlier["recipes"].items():
        assert name in today or f"\n| {name}{_mark(name, result)} | " in page


def _mark(name: str, result: dict[str, Any]) -> str:
    today = [] if name == "plain" else read(name)["distill"]
    return "" if result["terms"] == today else " †"
