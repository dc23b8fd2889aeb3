"""What is published holds everything that is used, and says one version."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_the_wheel_takes_every_file_of_the_package() -> None:
    package = ROOT / "src" / "segdistill"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["segdistill"]
    taken = {file for pattern in patterns for file in package.glob(pattern) if file.is_file()}
    there = {file for file in package.rglob("*") if file.is_file()}
    assert {file for file in there if file.suffix not in (".py", ".pyc")} <= taken


def test_every_pattern_of_package_data_takes_something() -> None:
    for pattern in PROJECT["tool"]["setuptools"]["package-data"]["segdistill"]:
        assert list((ROOT / "src" / "segdistill").glob(pattern)), pattern


def test_one_version_everywhere() -> None:
    version = PROJECT["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert newest is not None
    assert (cited, newest[1]) == (version, version)


def test_the_source_distribution_names_every_folder_and_file_of_the_repository() -> None:
    words = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").split()
    always = {"src", "README.md", "LICENSE", "pyproject.toml", "MANIFEST.in"}
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: what is committed cannot be listed")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = {Path(line).parts[0] for line in listed.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} - set(words) - always == set()


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_asks_for_what_exists(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for name, job in workflow["jobs"].items():
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"]), name
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert "@" in step.get("uses", "@")
            for line in step.get("run", "").splitlines():
                words = shlex.split(line)
                assert words[0] != "make" or words[1] in targets, line
                assert words[0] != "bash" or (ROOT / words[1]).is_file(), line


def test_only_the_job_that_publishes_may_ask_for_an_identity() -> None:
    for file in WORKFLOWS:
        workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            assert ("id-token" in job.get("permissions", {})) == name.startswith("publish")
            assert name.startswith("publish") == ("environment" in job)
