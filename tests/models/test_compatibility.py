"""A handful of the families in docs/compatibility.md do today what the page says."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FOUND = json.loads((BENCHMARKS / "results" / "compatibility.json").read_text(encoding="utf-8"))
FEW = ["segdistill espnet_c", "timm convnext", "timm ghostnet"]


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location(
        "bench_compatibility", BENCHMARKS / "bench_compatibility.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCHMARKS))


@pytest.mark.long
@pytest.mark.parametrize("name", FEW)
def test_a_family_does_what_the_page_says(bench: ModuleType, name: str) -> None:
    measured = bench.measure(bench.families()[name], with_export=False)
    recorded = {step: FOUND["families"][name][step] for step in measured}
    assert measured == recorded
    assert not any(answer.startswith("no: ") for answer in measured.values())


@pytest.mark.skipif(
    version("timm") != FOUND["environment"]["packages"]["timm"],
    reason="other versions of timm have other families",
)
def test_the_page_has_no_family_that_is_gone(bench: ModuleType) -> None:
    assert set(FOUND["families"]) <= set(bench.families())
