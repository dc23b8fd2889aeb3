"""Networks of other libraries: what is wrong with a name is said before torch is imported."""

import subprocess
import sys
from pathlib import Path

import pytest
from torchvision import models

from segdistill.config import NetworkConfig
from segdistill.config.checking import check_named
from segdistill.config.foreign import smp_names, torchvision_names
from segdistill.config.loading import load_configs
from segdistill.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{network: 'smp:unett'}", r"teacher\.network: .*got 'unett'; did you mean 'unet'"),
        ("{network: 'torchvision:fcn_resnet5'}", "did you mean 'fcn_resnet50'"),
        ("{network: 'hf:none'}", r"expected a folder with config\.json, got none in none"),
        ("{network: 'file:none.pt'}", r"expected a file, got none at none\.pt"),
        ("{network: 'smp:unet', mean: [0.5, 0.5, 0.5]}", "teacher: expected mean and std together"),
        ("{network: 'smp:unet', std: [1, 1, 1]}", "got std; add mean"),
        ("{network: 'smp:unet', mean: [0, 0, 0], std: [2, 1, 1]}", "at most 1|divide both by 255"),
    ],
)
def test_a_wrong_name_or_pair_of_settings_is_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_configs("reference", [f"teacher={words}"], trust=["file:none.pt"])


@pytest.mark.parametrize("network", ["espnet", "import:a:b", "smp:unet", "hf:x", "file:x.pt"])
def test_a_class_map_may_have_names_whatever_the_network(network: str) -> None:
    section = {"network": network, "class_map": ["car", ["road", 3], None, 1]}
    checked = check_named(NetworkConfig, section, "teacher")
    assert checked.class_map == ("car", ("road", 3), None, 1)
    with pytest.raises(ConfigError, match=r"teacher\.class_map: expected a list"):
        check_named(NetworkConfig, {**section, "class_map": [-1]}, "teacher")


def test_the_names_are_those_of_the_libraries() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    assert sorted(smp_names()) == sorted(smp.MODEL_ARCHITECTURES_MAPPING)
    assert sorted(torchvision_names()) == models.list_models(module=models.segmentation)


def test_torch_is_not_imported_for_it(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom segdistill.cli import main\n"
        "sys.argv[1:] = ['check', 'reference', \"teacher={network: 'smp:unett', args: {}}\"]\n"
        "try: code = main()\nexcept SystemExit as error: code = error.code\n"
        "assert code == 2, code\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "did you mean 'unet'" in done.stderr
