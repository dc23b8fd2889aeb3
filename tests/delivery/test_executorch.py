"""ExecuTorch: files are written and run in an environment of its own, in another process."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segdistill.catalogue.formats import FORMATS
from segdistill.delivery.executorch import PYTHON, open_executorch
from segdistill.delivery.gate import Tolerance, faults, score_beside
from segdistill.delivery.opening import open_file
from segdistill.delivery.parity import compare
from segdistill.errors import ConfigError, SegdistillError
from segdistill.types import SegOutput

from .conftest import Patches
from .test_formats import SIZE, contract, write

needs_executorch = pytest.mark.skipif(
    PYTHON not in os.environ, reason=f"no Python with executorch in {PYTHON}"
)

SPEAKS = """
import sys, json
def tell(answer, data=b""):
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\\n" + data)
    sys.stdout.buffer.flush()
file, threads = sys.argv[-2:]
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let a script take the place of the environment's Python."""
    python = folder / "python"
    python.write_text(f"#!{sys.executable} -IS\n{SPEAKS}{code}")
    python.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(python))


def test_a_file_is_run_in_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(
        tmp_path,
        monkeypatch,
        """
tell({"versions": "executorch 0, torch 0"})
like = {"shape": [1, 3, 2, 2], "dtype": "uint8"}
tell({"takes": like, "gives": like})
while data := sys.stdin.buffer.read(12):
    if data[0] == 255:
        sys.exit("Check failed: images are dark")
    if data[0] == 254:
        tell({"error": "RuntimeError: 254"})
    else:
        tell({}, bytes(value + int(threads) for value in data))
""",
    )
    run, text = open_executorch(tmp_path / "a.pte", threads=3)
    assert text is None
    images = np.arange(12, dtype=np.uint8).reshape(1, 3, 2, 2)
    last = np.asfortranarray(images)  # bytes are sent in the order of the dimensions
    assert np.array_equal(run(images), images + 3)
    assert np.array_equal(run(last), images + 3)
    with pytest.raises(SegdistillError, match="expected images of 1x3x2x2 uint8, got 1x3x2x2 flo"):
        run(images.astype(np.float32))
    with pytest.raises(SegdistillError, match="ExecuTorch: RuntimeError: 254"):
        run(np.full_like(images, 254))
    assert np.array_equal(run(images), images + 3)
    for _ in range(2):
        with pytest.raises(SegdistillError, match=r"images are dark \(its process ended with 1"):
            run(np.full_like(images, 255))


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (
            'tell({"error": "ImportError: undefined symbol"})',
            ConfigError,
            "expected executorch to run in .*python, got: ImportError: undefined symbol; python -m",
        ),
        (
            'tell({"versions": "executorch 0, torch 0"}); tell({"error": "RuntimeError: 0x23"})',
            SegdistillError,
            r"a\.pte: expected a file .* got: RuntimeError: 0x23 \(executorch 0, torch 0\)",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_as_it_is_opened(
    code: str, kind: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, code)
    with pytest.raises(kind, match=message):
        open_executorch(tmp_path / "a.pte")


def test_says_where_it_converts_and_runs(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PYTHON, raising=False)
    for does in (
        lambda: write("executorch", network, tmp_path, contract(any_size=False)),
        lambda: open_executorch(tmp_path / "a.pte"),
    ):
        with pytest.raises(ConfigError, match=r"expected SEGDISTILL_EXECUTORCH_PYTHON to name a P"):
            does()
    monkeypatch.setenv(PYTHON, sys.executable)
    monkeypatch.setattr("segdistill.delivery.environments.write_pt2", lambda *_: None)  # takes long
    with pytest.raises(ConfigError, match=r"expected executorch in .*, got: ModuleNotFoundError"):
        write("executorch", network, tmp_path, contract(any_size=False))
    with pytest.raises(ConfigError, match=r"to run in .*, got: ModuleNotFoundError: .*; python -m"):
        open_executorch(tmp_path / "a.pte")
    assert list(tmp_path.iterdir()) == []


class InOtherMemory(nn.Module):
    """A network that computes in another memory format than that of its images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> SegOutput:
        output: SegOutput = self.network(images.contiguous(memory_format=torch.channels_last))
        return output


class Bessel(InOtherMemory):
    def forward(self, images: Tensor) -> SegOutput:
        output: SegOutput = self.network(torch.special.bessel_j0(images))
        return output


@pytest.mark.long
@needs_executorch
def test_converts_in_an_environment_of_its_own(
    network: nn.Module, patches: Patches, tmp_path: Path
) -> None:
    row = FORMATS["executorch"]
    other = InOtherMemory(network)
    file = write("executorch", other, tmp_path, contract(any_size=False))
    opened = open_file(file, "executorch")
    score = score_beside(other, opened, patches, split="val")
    tolerance = Tolerance(row.largest_difference, row.agreement)
    assert faults(tolerance, compare(other, opened, [SIZE]), score) == []
    assert opened.contract.provenance["made_with"].startswith("executorch ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, f"{file.name}.json"]


@pytest.mark.long
@needs_executorch
def test_an_operator_that_cannot_be_lowered_is_named(network: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"got: one with special_bessel_j0, which it cannot lower"):
        write("executorch", Bessel(network), tmp_path, contract(any_size=False))
    assert list(tmp_path.iterdir()) == []


@needs_executorch
def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pte").write_bytes(b"no program" * 100)
    with pytest.raises(SegdistillError, match=r"a\.pte: expected a file .* that ExecuTorch can"):
        open_executorch(tmp_path / "a.pte")
