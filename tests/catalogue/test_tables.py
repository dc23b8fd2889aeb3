"""Settings read from source are those that Python sees."""

import inspect
from pathlib import Path

import pytest

from segdistill.catalogue import tables
from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.losses import LOSSES
from segdistill.catalogue.networks import NETWORKS

ROWS = [
    *(("segdistill.losses", row.target, row.given) for row in LOSSES.values()),
    *(("segdistill.models", row.target, row.given) for row in NETWORKS.values()),
    *(("segdistill.data", row.target, row.given) for row in DATASETS.values()),
]


@pytest.mark.parametrize(("package", "target", "given"), ROWS, ids=lambda value: str(value))
def test_every_row_of_every_table_is_read_as_python_reads_it(
    package: str, target: str, given: tuple[str, ...]
) -> None:
    loaded = tables.load(package, target)
    has_settings = inspect.isfunction(loaded) or "__init__" in vars(loaded)
    parameters = inspect.signature(loaded).parameters if has_settings else {}
    found = tables.settings(package, target, given)
    assert list(found) == [name for name in parameters if name not in given]
    for name, setting in found.items():
        assert setting.default == parameters[name].default
    assert set(given) <= set(parameters)


def test_annotations_are_evaluated() -> None:
    found = tables.settings("segdistill.data", DATASETS["camvid"].target, ("split",))
    assert found["root"].type is Path


def test_a_target_that_does_not_exist_is_refused() -> None:
    with pytest.raises(LookupError, match="expected a function or class nothing"):
        tables.settings("segdistill.models", "networks.fcn:nothing")
    with pytest.raises(LookupError, match=r"expected a module segdistill\.models\.nothing"):
        tables.settings("segdistill.models", "nothing:nothing")
