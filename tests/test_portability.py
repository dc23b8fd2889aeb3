"""What only POSIX systems have is not needed: a run works where it is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long  # whole runs


CONFIG = """\
data:
  {dataset: scenes, size: [48, 64], train_images: 4, val_images: 2, batch_size: 2, crop: [32, 48]}
student: {network: lraspp, backbone: mobilenetv2_035, output_stride: 16, width: 16}
training: {steps: 1, device: cpu}
evaluation: {pictures: 0}
"""
WITHOUT_POSIX = """\
import os, pathlib, pkgutil, sys
import lightning_fabric, torch._dynamo, torchvision  # which know what their system lacks
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
del os.fork
status = pathlib.Path.read_text
def read_text(self, *args, **kwargs):
    if str(self).startswith("/proc/"):
        raise FileNotFoundError(self)
    return status(self, *args, **kwargs)
pathlib.Path.read_text = read_text
"""


def run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX + code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_run_needs_nothing_that_only_posix_has(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    run("import segdistill; segdistill.train('tiny.yaml', 'run')", tmp_path)
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_every_module_can_be_imported_without_posix(tmp_path: Path) -> None:
    code = """
import segdistill
for module in pkgutil.walk_packages(segdistill.__path__, "segdistill."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
"""
    run(code, tmp_path)
