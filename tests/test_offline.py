"""Nothing is fetched and nothing is told: a run, a report and a prediction open no connection."""

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
evaluation: {pictures: 1}
"""
NO_NETWORK = """\
import socket
def refuse(*args, **kwargs):
    raise AssertionError(f"a connection was asked for: {args}")
socket.getaddrinfo = socket.create_connection = refuse
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
import segdistill
segdistill.train("tiny.yaml", "run")
segdistill.evaluate("run")
segdistill.predict("run", "run/predictions", "out", kind="overlay")
"""


def test_a_run_opens_no_connection(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert list((tmp_path / "out").glob("*.jpg"))
