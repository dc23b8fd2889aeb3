"""What a user may import, and what it costs to ask."""

import importlib
import subprocess
import sys

import pytest

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
