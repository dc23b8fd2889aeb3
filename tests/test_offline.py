"""Nothing is fetched and nothing is told: a run, a report and a prediction open no connection."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from segdistill.models import build_network
from segdistill.runs.student import Student, write_student
from segdistill.training.trained_student import load_student

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


@pytest.mark.long  # whole runs
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


HOSTILE = {
    "segmentation_models_pytorch": {
        "network": "smp:fpn",
        "args": {"encoder_name": "tu-resnet10t", "encoder_weights": "imagenet"},
    },
    "torchvision": {
        "network": "torchvision:lraspp_mobilenet_v3_large",
        "pretrained": True,
        "args": {"weights": "DEFAULT", "weights_backbone": "DEFAULT"},
    },
}


@pytest.mark.parametrize("library", HOSTILE)
def test_metadata_that_ask_for_published_weights_ask_nobody(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(library)
    section: dict[str, Any] = HOSTILE[library]
    honest = {key: None for key in section["args"] if "weights" in key}
    network = build_network(
        {**section, "pretrained": False, "args": section["args"] | honest}, classes=21
    )
    classes = tuple(f"class {number}" for number in range(21))
    file = tmp_path / "model.safetensors"
    write_student(file, network, Student(section, classes, ((0, 0, 0),) * 21))

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError(f"a connection was asked for: {given}")

    for name in ("getaddrinfo", "create_connection", "socket.connect"):
        monkeypatch.setattr(f"socket.{name}", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    loaded = load_student(file).network.state_dict()
    given = network.state_dict()
    assert loaded.keys() == given.keys()
    assert all(torch.equal(loaded[name], value) for name, value in given.items())
