"""The page of the papers: every table and figure has a row, and every command can be run."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from segdistill.cli import build_app
from segdistill.config.loading import load_configs, load_study, recipe_files
from segdistill.files import read_json

PAGE = (Path(__file__).parents[1] / "docs" / "papers.md").read_text(encoding="utf-8")
NUMBERED = {  # tables, figures
    "Knowledge adaptation": (6, 8),
    "Structured distillation": (5, 7),
    "Cross-image relations": (4, 7),
    "Comparable KD": (8, 1),
    "Angular distillation": (7, 6),
}
COMMANDS = sorted(set(re.findall(r"`(segdistill [^`]+)`", PAGE.replace("\n", " "))))
TRAINING = [command for command in COMMANDS if re.match(r"segdistill (distill|train) \S", command)]
STUDIES = [command for command in COMMANDS if command.startswith("segdistill study ")]


def sections() -> dict[str, str]:
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    return {name: part for part in parts for name in NUMBERED if part.startswith(name)}


@pytest.mark.parametrize("paper", NUMBERED)
def test_every_numbered_table_and_figure_has_a_row(paper: str) -> None:
    tables, figures = NUMBERED[paper]
    seen: dict[str, list[int]] = {"Table": [], "Fig.": []}
    for kind, numbers in re.findall(r"^\| (Table|Fig\.) ([\d, ]+) \|", sections()[paper], re.M):
        seen[kind] += [int(number) for number in numbers.split(",")]
    assert sorted(seen["Table"]) == list(range(1, tables + 1))
    assert sorted(seen["Fig."]) == list(range(1, figures + 1))


def test_every_row_says_how_or_why_not() -> None:
    rows = re.findall(r"^\| (?:Table|Fig\.).*$", PAGE, re.M)
    for row in rows:
        how = row.split(" | ")[2]
        assert re.search(r"`segdistill |`python examples/|no experiment|scores of|runs of", how), (
            row
        )


@pytest.mark.parametrize("command", TRAINING)
def test_a_command_is_a_config_that_is_checked(command: str) -> None:
    _, _, recipe, *words = shlex.split(command)
    assert load_configs(recipe, words)


@pytest.mark.parametrize("command", STUDIES)
def test_a_study_is_checked(command: str) -> None:
    assert load_study(shlex.split(command)[2]).methods


def test_every_study_of_a_paper_is_on_the_page() -> None:
    named = {shlex.split(command)[2] for command in STUDIES}
    assert named == {name for name in recipe_files() if name.startswith("studies/niemann")}


def test_every_recipe_of_a_paper_is_on_the_page_or_named_as_belonging_to_none() -> None:
    named = {shlex.split(command)[2] for command in TRAINING}
    recipes = {name for name in recipe_files() if name.startswith("papers/")}
    # Methods of other papers, on the networks and schedule of one of the five; and IFVD and CWD as
    # their own code trains them, which no table of the five shows.
    others = {"papers/dist", "papers/dkd", "papers/ifvd", "papers/cwd", "papers/standardized_kd"}
    others |= {f"papers/{name}" for name in ("gdkd", "csc_ace", "bpkd", "maskd", "dsd", "fakd")}
    others |= {f"papers/{name}" for name in ("idd", "apd", "sstkd", "cirkdv2", "af_dcd", "cankd")}
    others |= {"papers/freekd", "papers/diffkd"}
    assert recipes - named == others


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - set(TRAINING) - set(STUDIES)))
def test_other_commands_exist_with_their_options(command: str) -> None:
    words = shlex.split(command)[1:]
    names = words[:2] if words[0] == "bench" else words[:1]
    shown = CliRunner().invoke(build_app(), [*names, "--help"])
    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output


def test_what_was_off_is_what_was_measured() -> None:
    measured = read_json(Path(__file__).parents[1] / "benchmarks" / "results" / "papers.json")
    critic, parts = measured["critic"], measured["parts_of_a_batch"]
    figures = [f"{critic['before']:.2g}", f"{critic['after']:.2g}", f"{critic['ratio']:.1f} times"]
    figures += [f"{parts['cross_entropy'][key]:.4f}" for key in ("whole", "before", "after")]
    figures += [f"{parts['batch_relations'][key]:.3f}" for key in ("whole", "before")]
    padding = measured["padding"]["counted_over_masked"]
    figures += [f"`{loss}` {value:.3f}" for loss, value in padding.items()]
    figures += [f"{measured['half_precision'][when]:.1e}" for when in ("before", "after")]
    for teacher in measured["teachers"].values():
        ours = (teacher[when] for when in ("before", "after"))
        figures += [f"{one['params_m']:.2f} M and {one['g']:.1f} G" for one in ours]
    page = PAGE.split("## What was off")[1]
    assert [figure for figure in figures if figure not in page] == []
