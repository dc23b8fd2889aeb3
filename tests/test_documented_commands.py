"""Every command and config of the docs is one that the program of today takes.

Nothing is run here: commands are parsed by the real command line, and what they set is checked by
the real configs. The quickstart, the page of own losses and the papers' page are run elsewhere.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from documented import PAGES, ROOT, Typed, blocks, typed
from segdistill.catalogue.datasets import dataset_settings
from segdistill.cli import build_app
from segdistill.config.loading import load_configs, load_search, load_study, recipe_files

COMMAND_LINE: Any = typer.main.get_command(build_app())
PROGRAM = COMMAND_LINE.make_context("segdistill", ["recipes", "list"])
ASSUMED = ["data={dataset: folder, root: photos, batch_size: 8, crop: [256, 256]}"]
"""What pages assume and do not show: a folder of photos."""
LOADERS: dict[str, Any] = {"study": load_study, "search": load_search}
"""Who reads the file of a command; of all others it is a run file."""
KEYS = {"study": "methods", "search": "students"}
STAND_INS = {"study": "studies/reference", "search": "searches/reference"}
COMMANDS = [
    command
    for page in PAGES
    if page.name != "papers.md"  # tests/test_papers.py has them
    for command in typed(page, "segdistill")
]
CONFIGS = [
    pytest.param(block, id=f"{page.name}-{place}")
    for page in PAGES
    for place, block in enumerate(blocks(page, "yaml"))
]


def parsed(command: Typed) -> dict[str, Any]:
    """Return what the command line makes of a command's words."""
    _, *words = command.words
    if words[0].startswith("--"):
        assert words[0] in {name for option in COMMAND_LINE.params for name in option.opts}
        return {}
    function, above = COMMAND_LINE, PROGRAM
    while hasattr(function, "commands"):
        if command.inline and not words:
            return {}
        name = words.pop(0)
        function = function.get_command(above, name)
        assert function is not None, f"{command}: there is no {name}"
    if command.inline and not words:
        return {}
    try:
        context = function.make_context(command.words[1], words, parent=above)
    except typer.BadParameter as error:
        if command.inline and type(error).__name__ == "MissingParameter":
            return {}
        raise
    return {"verb": function.name, **context.params}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_is_one_that_can_be_typed(command: Typed) -> None:
    given = parsed(command)
    words = list(given.get("overrides") or [])
    verb, source = given.get("verb"), given.get("config", given.get("file"))
    if verb == "pack":
        keys = {word.partition("=")[0] for word in given["settings"]}
        assert keys <= set(dataset_settings(given["dataset"]))
    elif source == "loss" or "overrides" not in given:
        return
    elif source in recipe_files():
        LOADERS.get(verb, load_configs)(source, words)
    elif verb in LOADERS:
        LOADERS[verb](STAND_INS[verb], words)
    elif source is not None:
        load_configs("reference", [*ASSUMED, *words])
    else:  # a run's student, which is trained, takes settings that a new one does not
        load_configs("reference", [*ASSUMED, *(word for word in words if "student." not in word)])


@pytest.mark.parametrize("block", CONFIGS)
def test_a_config_is_one_that_is_taken(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in re.findall(r"hf:([\w/]+)", block):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "config.json").write_text("{}")
    tree = yaml.safe_load(block)
    tree["data"] = {"crop": [96, 128], **tree.get("data", {"dataset": "scenes"})}
    if "teacher" in tree:
        members = tree["teacher"].get("members", [tree["teacher"]])
        for network in members:  # a run's weights name their network; here is no such file
            network.setdefault("network", "fcn")
    else:
        tree["teacher"] = {"network": "fcn", "untrained": True}
    if "students" not in tree:
        tree.setdefault("student", {"network": "lraspp", "backbone": "mobilenetv2_035"})
    tree.setdefault("training", {"steps": 1})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    verb = next((verb for verb, key in KEYS.items() if key in tree), "")
    LOADERS.get(verb, load_configs)(tmp_path / "config.yaml")


def test_the_readme_shows_the_answer_to_a_typo() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^\$ segdistill (.*)\n(segdistill: .*)\n```", text, flags=re.M)
    assert shown is not None
    answer = CliRunner().invoke(build_app(), shown[1].split())
    assert (answer.exit_code, answer.output.strip()) == (2, shown[2])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_other_commands_name_what_exists(page: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for command in typed(page, "make"):
        assert command.words[1] in targets, command
    for command in typed(page, "pip install"):
        for extra in re.findall(r"\[(.*)\]", command.words[-1]):
            assert extra in project["optional-dependencies"], command
    for command in typed(page, "python"):
        script = ROOT / command.words[1]
        if script.suffix == ".py":
            text = script.read_text(encoding="utf-8")
            for option in (word for word in command.words if word.startswith("--")):
                assert f'"{option}"' in text, command
