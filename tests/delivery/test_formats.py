"""Every format: a file says what it is and, in its own runtime, gives the network's mask."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segdistill.catalogue.formats import FORMATS, format_of
from segdistill.catalogue.tables import load
from segdistill.delivery.contract import Contract, Images, Output
from segdistill.delivery.executorch import PYTHON as EXECUTORCH
from segdistill.delivery.fallback import Layers, fall_back
from segdistill.delivery.gate import Tolerance, faults, score_beside, time_beside
from segdistill.delivery.litert import PYTHON
from segdistill.delivery.onnx_int8 import write_onnx_int8
from segdistill.delivery.opened import OpenedFile
from segdistill.delivery.opening import PACKAGE, find_format, open_file
from segdistill.delivery.openvino_int8 import from_both_ends
from segdistill.delivery.parity import compare, other_sizes
from segdistill.errors import ConfigError, RunFolderError, SegdistillError
from segdistill.trust import program_name
from segdistill.types import SegOutput

from .conftest import CLASSES, Patches

SIZE = (48, 64)
FILES = Path(__file__).parent / "files"


def contract(
    images: Images = "float", output: Output = "logits", *, any_size: bool = True
) -> Contract:
    return Contract(
        classes=CLASSES.names,
        colors=CLASSES.colors,
        images=images,
        output=output,
        size=None if any_size else SIZE,
        provenance={"run": "student-1", "miou": 0.5},
    )


def write(
    name: str, network: nn.Module, folder: Path, promise: Contract, size: tuple[int, int] = SIZE
) -> Path:
    row = find_format("test", name)
    file = folder / f"student{row.suffix}"
    extra = ()
    if row.calibrated:
        data = Patches(12)
        pictures = [data[index].image.transpose(2, 0, 1)[None] for index in range(4, 12)]
        floating = [(picture / 255).astype(np.float32) for picture in pictures]
        extra = (pictures if promise.images == "uint8" else floating,)
    load(PACKAGE, row.target)(network, file, size, promise, *extra)
    return file


def trusted(file: Path, name: str, threads: int = 0) -> OpenedFile:
    return open_file(file, name, threads=threads, trust=[program_name(file)])


@pytest.fixture(scope="module", params=FORMATS)
def written(
    request: pytest.FixtureRequest, network: nn.Module, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Return the format's name, and a file of it."""
    folder, name = tmp_path_factory.mktemp("format"), request.param
    if name == "executorch" and EXECUTORCH not in os.environ:
        pytest.skip(f"no Python with executorch in {EXECUTORCH}")
    if name.startswith(("litert", "executorch")):
        # Their converters need environments of their own: their files of this network are kept.
        for file in FILES.glob(f"student{FORMATS[name].suffix}*"):
            shutil.copy(file, folder)
        return name, folder / f"student{FORMATS[name].suffix}"
    return name, write(name, network, folder, contract())


def test_says_what_it_is(written: tuple[str, Path]) -> None:
    name, file = written
    assert format_of(file) == name
    said, promise = trusted(file, name).contract, contract(any_size=FORMATS[name].any_size)
    assert replace(said, provenance=promise.provenance) == promise
    assert promise.provenance.items() <= said.provenance.items()
    assert len(list(file.parent.iterdir())) == (2 if FORMATS[name].companion else 1)


def test_does_what_the_network_does_on_real_images_of_any_size(
    written: tuple[str, Path], network: nn.Module, patches: Patches
) -> None:
    name, file = written
    row, opened = FORMATS[name], trusted(file, name, threads=1)
    image = torch.from_numpy(patches[0].image).permute(2, 0, 1)[None] / 255
    sizes = (SIZE, *other_sizes(SIZE)) if row.any_size else (SIZE,)
    parity = compare(network, opened, sizes, image=image)
    score = score_beside(network, opened, patches, split="val")
    assert score.images == 4
    assert score.network_miou > 0.85
    tolerance = Tolerance(row.largest_difference, row.agreement, row.loss_points)
    assert faults(tolerance, parity, score) == []


@pytest.mark.parametrize("name", ["onnx", "onnx-fp16", "openvino-int8", "pt2"])
def test_takes_bytes_and_gives_the_mask_as_bytes(
    name: str, network: nn.Module, patches: Patches, tmp_path: Path
) -> None:
    file = trusted(write(name, network, tmp_path, contract("uint8", "mask")), name)
    image = patches[1].image.transpose(2, 0, 1)[None]
    mask = file.run(np.ascontiguousarray(image))
    assert (mask.dtype, mask.shape) == (np.uint8, (1, *SIZE))
    logits = file(torch.from_numpy(image)).logits
    assert np.array_equal(logits.argmax(dim=1).numpy(), mask)
    (parity,) = compare(network, file, [SIZE], image=torch.from_numpy(image) / 255)
    assert parity.largest_difference is None
    assert parity.agreement > 0.98


def test_the_gate_names_what_a_file_fails_at(
    network: nn.Module, patches: Patches, tmp_path: Path
) -> None:
    other = type(network)().eval()
    file = open_file(write("onnx", other, tmp_path, contract()), "onnx")
    parity = compare(network, file, [SIZE])
    score = score_beside(network, file, patches, split="val")
    said = "; ".join(faults(Tolerance(1e-3, 0.999, 0.4), parity, score))
    assert "logits that differ by" in said
    assert "% equal classes at 48x64 (99.9 % is required)" in said
    assert "% equal classes on val" in said
    assert f"mIoU {100 * score.miou:.2f} instead of {100 * score.network_miou:.2f} on val" in said
    assert score.loss_points == pytest.approx(100 * (score.network_miou - score.miou))


def test_no_file_has_every_layer_in_float() -> None:
    written: list[tuple[str, ...]] = []
    kept = fall_back(
        lambda kept: written.append(tuple(kept)), Path("a"), lambda: "abcde", lambda _path: False
    )
    assert kept == Layers(floating=(), order=tuple("abcde"))
    assert written == [(), ("a",), ("a", "b"), ("a", "b", "c", "d"), ()]


class Uneven(nn.Module):
    """Between the first two layers one channel is a hundred times another, which alone counts."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1))
        with torch.no_grad():
            for layer, weight in zip(
                self.layers,
                ([[100.0, 0, 0], [0, 1, 0]], [[0.0, 100], [0, -100]], [[1.0, 0], [0, 1]]),
                strict=True,
            ):
                layer.weight.copy_(torch.tensor(weight)[..., None, None])
                layer.bias.zero_()

    def forward(self, images: Tensor) -> SegOutput:
        return SegOutput(self.layers(images))


def test_the_layers_that_alone_change_the_output_most_go_back_first(tmp_path: Path) -> None:
    onnx, asked = pytest.importorskip("onnx"), list[Path]()

    def holds(path: Path) -> bool:
        asked.append(path)
        return len(asked) > 2  # one layer is not enough, then two are

    images = [np.random.default_rng(0).random((1, 3, *SIZE), dtype=np.float32)]
    file = tmp_path / "a.int8.onnx"
    kept = write_onnx_int8(Uneven(), file, SIZE, contract(), images, holds)
    nodes = onnx.load(str(file)).graph.node
    first, second, third = (node.name for node in nodes if node.op_type == "Conv")
    assert set(kept.floating) == {first, second}
    assert set(kept.order) == {first, second, third}
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_layers_of_openvino_go_back_from_both_ends() -> None:
    assert from_both_ends("abcde") == ["e", "a", "d", "b", "c"]


def test_programs_are_timed_in_turn(network: nn.Module) -> None:
    order = []

    class Called(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            order.append(self.name)
            return images

    programs = {"network": Called("a"), "file": Called("b")}
    timings = time_beside(programs, (8, 8), threads=1, warm_up=1, passes=3)
    assert order == ["a", "b"] * 4
    assert timings["file"].low_ms <= timings["file"].median_ms <= timings["file"].high_ms


def test_a_file_of_another_tool_needs_its_classes(network: nn.Module, tmp_path: Path) -> None:
    from segdistill.delivery.onnx import export_onnx

    export_onnx(network, tmp_path / "a.onnx", SIZE)
    with pytest.raises(ConfigError, match="got one of another tool; name them with --classes"):
        open_file(tmp_path / "a.onnx", "onnx")
    named = open_file(tmp_path / "a.onnx", "onnx", classes=CLASSES)
    assert named.contract.classes == CLASSES.names
    wrong = open_file(tmp_path / "a.onnx", "onnx", classes=type(CLASSES)(("a",), ((0, 0, 0),)))
    with pytest.raises(ValueError, match="expected a logits of 1 classes, got an output of shape"):
        wrong(torch.zeros(1, 3, *SIZE))


def test_broken_files_are_refused_in_one_line(network: nn.Module, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    (tmp_path / "a.xml").write_text("no net")
    with pytest.raises(FileNotFoundError, match="expected an exported file, got none"):
        open_file(tmp_path / "b.onnx", "onnx")
    with pytest.raises(SegdistillError, match="expected a file that onnxruntime can read, got: "):
        open_file(tmp_path / "a.onnx", "onnx")
    with pytest.raises(SegdistillError, match=r"expected a\.bin next to it, got none; copy both"):
        open_file(tmp_path / "a.xml", "openvino")
    (tmp_path / "a.bin").touch()
    with pytest.raises(SegdistillError, match="expected a file that OpenVINO can read, got: "):
        open_file(tmp_path / "a.xml", "openvino")
    file = write("onnx", network, tmp_path, contract())
    file.write_bytes(file.read_bytes().replace(b'"output": "logits"', b'"output": "locust"'))
    with pytest.raises(RunFolderError, match="expected 'logits' or 'mask' at 'output'"):
        open_file(file, "onnx")


def test_openvino_sends_nothing(written: tuple[str, Path]) -> None:
    name, file = written
    trusted(file, name)
    if name.startswith("openvino"):
        assert sys.modules["openvino_telemetry"] is None


def test_a_program_is_loaded_where_it_is_trusted(network: nn.Module, tmp_path: Path) -> None:
    file = write("pt2", network, tmp_path, contract())
    with pytest.raises(ConfigError, match=r"expected trust in file:.*student\.pt2 .*--trust file:"):
        open_file(file, "pt2")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(SegdistillError, match=r"expected a file that torch\.export reads, got: "):
        trusted(file, "pt2")


def test_a_program_of_another_kind_is_refused_as_it_runs(tmp_path: Path) -> None:
    class Pair(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images + 1, images

    file = tmp_path / "a.pt2"
    torch.export.save(torch.export.export(Pair(), (torch.zeros(1, 3, 8, 8),)), file)
    with pytest.raises(ConfigError, match="name them with --classes FILE"):
        trusted(file, "pt2")
    opened = open_file(file, "pt2", classes=CLASSES, trust=[program_name(file)])
    with pytest.raises(SegdistillError, match="expected a program that gives a tensor, got tuple"):
        opened(torch.zeros(1, 3, 8, 8))
    with pytest.raises(SegdistillError, match=r"torch: "):
        opened(torch.zeros(1, 3, 8, 9))


@pytest.mark.long
@pytest.mark.skipif(PYTHON not in os.environ, reason=f"no Python with litert-torch in {PYTHON}")
@pytest.mark.parametrize("name", ["litert", "litert-int8"])
def test_litert_converts_in_an_environment_of_its_own(
    name: str, network: nn.Module, patches: Patches, tmp_path: Path
) -> None:
    row = FORMATS[name]
    file = write(name, network, tmp_path, contract(any_size=False))
    opened = open_file(file, name)
    score = score_beside(network, opened, patches, split="val")
    tolerance = Tolerance(row.largest_difference, row.agreement, row.loss_points)
    assert faults(tolerance, compare(network, opened, [SIZE]), score) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, f"{file.name}.json"]


def test_litert_says_where_it_converts(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PYTHON, raising=False)
    with pytest.raises(ConfigError, match=r"expected SEGDISTILL_LITERT_PYTHON to name a Python"):
        write("litert", network, tmp_path, contract(any_size=False))
    monkeypatch.setenv(PYTHON, sys.executable)
    with pytest.raises(ConfigError, match=r"expected litert-torch in .*, got: ModuleNotFoundErr"):
        write("litert", network, tmp_path, contract(any_size=False))
    assert list(tmp_path.iterdir()) == []
