"""The table of datasets: every row names its function and its facts, and needs no torch."""

import subprocess
import sys

import pytest

from segdistill.catalogue.datasets import DATASETS
from segdistill.catalogue.tables import load


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_names_a_function_with_settings_and_a_sentence(name: str) -> None:
    entry = DATASETS[name]
    assert callable(load("segdistill.data", entry.target))
    assert entry.given == ("split",)
    assert "split" not in entry.settings
    assert entry.about.endswith(".")
    assert entry.tested
    assert entry.layout
    assert entry.ignored
    if entry.classes:
        assert entry.source
        assert entry.licence
        assert entry.splits


@pytest.mark.parametrize("name", [name for name in DATASETS if DATASETS[name].classes])
def test_the_classes_of_a_row_can_be_listed(name: str) -> None:
    classes = load("segdistill.data", DATASETS[name].classes)
    assert len(classes.names) == len(classes.colors) > 1
    assert len(set(classes.names)) == len(classes.names)


@pytest.mark.parametrize("name", DATASETS)
def test_the_function_and_its_file_are_called_as_the_config_calls_the_dataset(name: str) -> None:
    assert DATASETS[name].target == f"formats.{name}:{name}"


def test_the_table_is_read_without_importing_torch() -> None:
    code = "import sys, segdistill.catalogue.datasets; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
