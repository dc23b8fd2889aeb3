"""The arrows between packages: who may import whom, and who may touch which library."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "segdistill"
BASE = {
    "catalogue",
    "checks",
    "config",
    "errors",
    "files",
    "memory",
    "seeding",
    "trust",
    "types",
}
MAY_IMPORT = dict.fromkeys(BASE, BASE) | {
    "losses": BASE,
    "models": BASE,
    "data": BASE,
    "scoring": BASE,
    "training": BASE | {"losses", "models", "data", "scoring"},
    "delivery": BASE | {"models", "scoring"},
    "studies": BASE | {"training"},
    "analysis": BASE | {"data", "losses", "models", "scoring", "training", "studies", "api"},
    "reporting": BASE | {"studies"},
}
CONFINED = {
    "timm": "models",
    "PIL": "data",
    "pycocotools": "data",
    "lightning_fabric": "training",
    "onnx": "delivery",
    "onnxruntime": "delivery",
    "ray": "studies",
    "optuna": "studies",
    "jinja2": "reporting",
    "typer": "cli",
    "rich": "cli",
}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "segdistill":
                yield from (f"segdistill.{alias.name}" for alias in node.names)
            else:
                yield node.module


def faults(tree: ast.AST, package: str) -> list[str]:
    found = []
    allowed = MAY_IMPORT.get(package)
    for name in imports(tree):
        library, _, rest = name.partition(".")
        ours = library == "segdistill" and rest and allowed is not None
        if ours and rest.split(".")[0] not in allowed | {package}:
            found.append(f"{package} may not import {name}")
        owner = CONFINED.get(library, package)
        if owner != package:
            found.append(f"only {owner} may import {library}")
    return found


@pytest.mark.parametrize(
    "file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE))
)
def test_imports_follow_the_arrows(file: Path) -> None:
    package = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert faults(ast.parse(file.read_text()), package) == []


@pytest.mark.parametrize(
    ("code", "package", "fault"),
    [
        ("import timm", "losses", "only models may import timm"),
        ("from segdistill.models import x", "data", "data may not import segdistill.models"),
        ("from segdistill import training", "losses", "losses may not import segdistill.training"),
        ("from segdistill.cli import main", "studies", "studies may not import segdistill.cli"),
    ],
)
def test_a_planted_import_is_found(code: str, package: str, fault: str) -> None:
    assert faults(ast.parse(code), package) == [fault]
