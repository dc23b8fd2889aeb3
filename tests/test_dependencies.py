"""Every package that is asked for has a line that says what it is for."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_of_pyproject_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"]]
    for packages in project["optional-dependencies"].values():
        asked += packages
    names = {re.split(r"[\[<>=]", word)[0].lower() for word in asked} - {"segdistill"}
    rows = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower().splitlines()
    explained = {word for row in rows if row.startswith("|") for word in re.findall(r"[\w-]+", row)}
    assert sorted(names - explained) == []
