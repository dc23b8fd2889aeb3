"""The command line called in this process, and one tiny cohort that all tests share."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from segdistill.cli import build_app
from segdistill.delivery import onnx

TINY = """\
data:
  {dataset: scenes, size: [48, 64], train_images: 6, val_images: 3, batch_size: 4, crop: [32, 48]}
teacher: {network: fcn, backbone: resnet10t, output_stride: 16, width: 16, untrained: true}
student: {network: lraspp, backbone: mobilenetv2_035, output_stride: 16, width: 16}
training: {steps: 4, lr: 0.02, checkpoint_every: 2, log_every: 2, device: cpu}
evaluation: {pictures: 1}
cohort:
  plain: {}
  kl: {distill: [{loss: pixelwise_kl}]}
"""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


Cli = Callable[..., Done]


def call(*words: object) -> Done:
    result = CliRunner().invoke(build_app(), [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return the command line, in an empty folder with ``tiny.yaml`` in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return call


@dataclass(frozen=True)
class Trained:
    """The finished cohort ``runs/tiny-1``, and what the command that made it printed."""

    folder: Path
    done: Done

    @property
    def run(self) -> Path:
        """The distilled learner's run."""
        return self.folder / "kl"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("cohort")
    (folder / "tiny.yaml").write_text(TINY)
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = call("distill", "tiny.yaml", "training.evaluate_every=4")
    finally:
        os.chdir(before)
    assert done.code == 0, done.err
    return Trained(folder / "runs" / "tiny-1", done)


@pytest.fixture(scope="session")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Path]:
    """Return what export printed, and its file; tracing a network takes seconds."""
    file = tmp_path_factory.mktemp("exported") / "a.onnx"
    return call("export", trained.run, "--out", file, "--json"), file


@pytest.fixture
def written(exported: tuple[Done, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the file that was exported before."""
    monkeypatch.setattr(
        onnx, "write_onnx", lambda _network, file, *_: file.write_bytes(exported[1].read_bytes())
    )


def folder_config(root: Path) -> list[str]:
    return ["data={dataset: folder, root: " + str(root) + ", crop: [32, 48], batch_size: 2}"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of images with masks of two classes."""
    root = tmp_path / "own"
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for name in ("a", "b"):
            image = rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / split / "images" / f"{name}.png")
            mask = rng.integers(0, 2, (40, 56), dtype=np.uint8)
            Image.fromarray(mask).save(root / split / "masks" / f"{name}.png")
    (root / "classes.txt").write_text("road\nsky\n")
    return root
