"""What a user may import, and what it costs to ask."""

import ast
import importlib
import inspect
import pkgutil
import pydoc
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import segdistill
from segdistill.catalogue.commands import COMMANDS

PACKAGES = [
    "segdistill",
    "segdistill.losses",
    "segdistill.models",
    "segdistill.data",
]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_refused(package: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = importlib.import_module(package).nothing


def test_tables_configs_and_the_command_line_do_not_load_torch() -> None:
    code = (
        "import sys, segdistill.cli, segdistill.config.loading; "
        "import segdistill.catalogue.recipes as r; r.recipes(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_verb_is_a_function_in_the_file_of_its_name() -> None:
    for name in segdistill.__all__:
        verb = getattr(segdistill, name)
        assert inspect.isfunction(verb)
        assert (verb.__name__, verb.__module__) == (name, f"segdistill.api.{name}")
        assert f"segdistill.{name}(" in (verb.__doc__ or ""), "an example of its use"


def test_every_command_that_does_something_is_a_verb() -> None:
    printed = {"list", "recipes"}  # what they print is the catalogue
    verbs = {words.split()[-1] for words in COMMANDS if words.split()[0] not in printed}
    assert verbs | {"load", "taps"} == set(segdistill.__all__)


def test_no_module_shadows_a_verb() -> None:
    modules = {module.name for module in pkgutil.iter_modules(segdistill.__path__)}
    assert modules.isdisjoint(segdistill.__all__)


def test_importing_everything_leaves_the_verbs_functions() -> None:
    for module in pkgutil.walk_packages(segdistill.__path__, "segdistill."):
        if module.name == "segdistill.losses.maths.tiled_triton" and find_spec("triton") is None:
            continue
        if module.name != "segdistill.__main__":
            importlib.import_module(module.name)
    assert all(inspect.isfunction(getattr(segdistill, name)) for name in segdistill.__all__)


def test_editors_and_type_checkers_see_every_verb() -> None:
    tree = ast.parse(Path(segdistill.__file__).read_text(encoding="utf-8"))
    seen = {
        (node.module, node.names[0].asname)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module != "__future__" and node.names[0].asname
    }
    assert seen == {(f"segdistill.api.{name}", name) for name in segdistill.__all__}
    assert dir(segdistill) == sorted(segdistill.__all__)


def test_help_says_what_each_verb_does() -> None:
    text = pydoc.plain(pydoc.render_doc(segdistill))
    for name in segdistill.__all__:
        assert f"``{name}(" in (segdistill.__doc__ or ""), name
        assert f"    {name}(" in text


def test_importing_segdistill_does_not_load_torch() -> None:
    code = "import sys, segdistill; dir(segdistill); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
