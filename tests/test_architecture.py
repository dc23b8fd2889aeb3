"""The arrows between packages: who may import whom, and who may touch which library."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "segdistill"
BASE = {
    "catalogue",
    "checks",
    "classes",
    "config",
    "errors",
    "files",
    "image_scores",
    "json_text",
    "memory",
    "network_state",
    "own_code",
    "runs",
    "seeding",
    "threads",
    "trust",
    "types",
    "upsampling",
    "yaml_text",
}
MAY_IMPORT = dict.fromkeys(BASE, BASE) | {
    "catalogue": {"checks", "errors", "json_text"},
    "runs": {"classes", "errors", "files", "json_text", "yaml_text"},
    "losses": BASE,
    "models": BASE,
    "data": BASE,
    "scoring": BASE,
    "training": BASE | {"losses", "models", "data", "scoring"},
    "delivery": BASE | {"models", "scoring"},
    "studies": BASE | {"training"},
    "drawing": set(),
    "serving": BASE | {"data"},
    "analysis": BASE | {"data", "drawing", "losses", "models", "scoring", "training", "studies"},
    "reporting": BASE | {"analysis", "drawing", "studies"},
}
CONFINED = {
    "timm": "models",
    "triton": "losses",
    "PIL": "data",
    "pycocotools": "data",
    "av": "data",
    "lightning_fabric": "training",
    "wandb": "training",
    "mlflow": "training",
    "onnx": "delivery",
    "onnxruntime": "delivery",
    "onnxconverter_common": "delivery",
    "openvino": "delivery",
    "nncf": "delivery",
    "ray": "studies",
    "optuna": "studies",
    "jinja2": "reporting",
    "starlette": "serving",
    "uvicorn": "serving",
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
    messages = []
    allowed = MAY_IMPORT.get(package)
    for name in imports(tree):
        library, _, rest = name.partition(".")
        ours = library == "segdistill" and rest and allowed is not None
        if ours and rest.split(".")[0] not in allowed | {package}:
            messages.append(f"{package} may not import {name}")
        owner = CONFINED.get(library, package)
        if owner != package:
            messages.append(f"only {owner} may import {library}")
    return messages


def package_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


PACKAGES = sorted({package_of(file) for file in SOURCE.rglob("*.py")} - {"__pycache__"})


def package_faults(source: Path, package: str) -> list[str]:
    """Return every fault of a package, or of a file at the top, with its file."""
    top = source / package
    files = sorted(top.rglob("*.py")) if top.is_dir() else [top.with_suffix(".py")]
    return [
        f"{file.relative_to(source)}: {fault}"
        for file in files
        for fault in faults(ast.parse(file.read_text(encoding="utf-8")), package)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_arrows(package: str) -> None:
    assert package_faults(SOURCE, package) == []


def test_every_fault_of_a_package_is_listed_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "losses" / "maths").mkdir(parents=True)
    (tmp_path / "losses" / "first.py").write_text("import timm\nfrom segdistill import data\n")
    (tmp_path / "losses" / "maths" / "second.py").write_text("import rich\n")
    assert package_faults(tmp_path, "losses") == [
        "losses/first.py: only models may import timm",
        "losses/first.py: losses may not import segdistill.data",
        "losses/maths/second.py: only cli may import rich",
    ]


@pytest.mark.parametrize(
    ("code", "package", "fault"),
    [
        ("import timm", "losses", "only models may import timm"),
        ("from segdistill.models import x", "data", "data may not import segdistill.models"),
        ("from segdistill import training", "losses", "losses may not import segdistill.training"),
        ("from segdistill.api import load", "analysis", "analysis may not import segdistill.api"),
        ("from segdistill.cli import main", "studies", "studies may not import segdistill.cli"),
    ],
)
def test_a_planted_import_is_found(code: str, package: str, fault: str) -> None:
    assert faults(ast.parse(code), package) == [fault]


PARSERS = {"json": "json_text", "yaml": "yaml_text"}
"""Libraries that parse text, and the file that bounds what they are given."""


def unbounded(tree: ast.AST, file: str) -> list[str]:
    """Return the calls that parse text without bounds of nesting and size."""
    used = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.append((node.value.id, node.attr))
        elif isinstance(node, ast.ImportFrom):
            used += [(node.module or "", alias.name) for alias in node.names]
    return [
        f"{library}.{name} where {PARSERS[library]} is meant"
        for library, name in used
        if library in PARSERS and "load" in name and file != PARSERS[library]
    ]


def test_text_is_parsed_within_bounds() -> None:
    found = {
        str(file.relative_to(SOURCE)): faults
        for file in SOURCE.rglob("*.py")
        if (faults := unbounded(ast.parse(file.read_text(encoding="utf-8")), file.stem))
    }
    assert found == {}


@pytest.mark.parametrize(
    "code", ["json.loads(text)", "from json import load", "yaml.safe_load(text)", "yaml.load(x)"]
)
def test_a_planted_parser_is_found(code: str) -> None:
    assert unbounded(ast.parse(code), "list")
    assert not unbounded(ast.parse("json.dumps(tree); yaml.safe_dump(tree)"), "list")
