"""No other package spells the name of a file in a run or study folder."""

import ast
from pathlib import Path

import pytest

from segdistill.runs import layout

SOURCE = Path(layout.__file__).parents[1]
NAMES = {
    value
    for name, value in vars(layout).items()
    if name.isupper() and isinstance(value, str) and Path(value).suffix
}


@pytest.mark.parametrize(
    "file",
    sorted(file for file in SOURCE.rglob("*.py") if file.relative_to(SOURCE).parts[0] != "runs"),
    ids=lambda file: str(file.relative_to(SOURCE)),
)
def test_only_this_package_names_files(file: Path) -> None:
    constants = [
        node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)
    ]
    named = {node.value for node in constants if node.value in NAMES}
    if file.relative_to(SOURCE).parts[0] == "models":
        named.discard(layout.STUDENT)  # Hugging Face calls its files so, too
    assert named == set()


def test_the_names_are_known() -> None:
    assert {"result.json", "resolved.yaml", "trials.jsonl", "model.safetensors"} <= NAMES
