"""recipes: listed, and copied without overwriting anything."""

import json
from pathlib import Path

from segdistill.catalogue.recipes import recipe_files
from segdistill.config.schema import file_schema

from .conftest import Cli


def test_every_recipe_is_listed_with_its_first_line(cli: Cli) -> None:
    rows = json.loads(cli("recipes", "list", "--json").out)
    assert set(rows) == set(recipe_files())
    *lines, following = cli("recipes", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(rows)
    assert following == "next: segdistill recipes copy NAME run.yaml"


def test_a_copy_is_the_recipe_and_never_replaces_a_file(cli: Cli) -> None:
    done = cli("recipes", "copy", "camvid/students")
    assert (done.code, done.out) == (
        0,
        "students.yaml written; next: segdistill check students.yaml\n",
    )
    assert Path("students.yaml").read_text() == recipe_files()["camvid/students"].read_text()
    again = cli("recipes", "copy", "scenes/students", "students.yaml")
    assert again.code == 2
    assert "recipes copy: expected a new file, got students.yaml; choose another" in again.err


def test_an_unknown_recipe_is_answered_with_the_nearest(cli: Cli) -> None:
    done = cli("recipes", "copy", "camvid/student")
    assert done.code == 2
    assert "did you mean 'camvid/students'?" in done.err


def test_the_schema_is_printed_for_editors(cli: Cli) -> None:
    done = cli("recipes", "schema")
    assert done.code == 0
    assert json.loads(done.out) == file_schema()
