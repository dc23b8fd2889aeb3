"""export: a row says what writes and opens a file; what is written is run before it is kept."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import segdistill
from segdistill.api.export import export
from segdistill.catalogue.formats import FORMATS, Format
from segdistill.delivery import onnx
from segdistill.delivery.contract import Contract
from segdistill.delivery.fallback import Layers
from segdistill.delivery.opened import Run
from segdistill.errors import ConfigError, DataError, SegdistillError
from segdistill.files import LEDGER
from segdistill.runs.student import read_student, student_file

ROW = Format("onnx:write_text", "Text.", opener="onnx:open_text", suffix=".txt", loss_points=0.4)


@pytest.fixture
def text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a format of text files that always see the first class."""

    def write(network: nn.Module, file: Path, size: tuple[int, int], contract: Contract) -> None:
        file.write_text(contract.as_text())

    def open_text(file: Path, threads: int) -> tuple[Run, str]:
        text = file.read_text()
        classes = len(json.loads(text)["classes"])

        def run(images: np.ndarray) -> np.ndarray:
            logits = np.zeros((len(images), classes, *images.shape[2:]), np.float32)
            logits[:, 0] = 1
            return logits

        return run, text

    monkeypatch.setitem(FORMATS, "text", ROW)
    monkeypatch.setattr(onnx, "write_text", write, raising=False)
    monkeypatch.setattr(onnx, "open_text", open_text, raising=False)


def test_a_file_says_what_it_is_and_where_it_comes_from(
    run: Path, text: None, tmp_path: Path
) -> None:
    made = export(run, tmp_path / "a.txt", format="text", size=(32, 64), images="uint8", force=True)
    assert made.file == tmp_path / "a.txt"
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", LEDGER}
    told = json.loads(made.file.read_text())
    assert told["classes"] == list(read_student(student_file(run)).classes)
    assert (told["images"], told["output"], told["size"]) == ("uint8", "logits", None)
    provenance = told["provenance"]
    assert (provenance["run"], provenance["dataset"]) == ("run", "scenes")
    assert provenance["miou_interval"][0] <= provenance["miou"] <= provenance["miou_interval"][1]
    assert made.score is not None
    assert made.score.images == 3
    assert made.parity[0].size == (32, 64)
    assert set(made.timings[1]) == {"network", "file"}


def test_a_file_that_fails_at_the_gate_is_not_kept(
    run: Path, text: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        FORMATS, "text", Format(**{**vars(ROW), "agreement": 0.999, "loss_points": None})
    )
    with pytest.raises(SegdistillError, match=r"got .* % equal classes .*; nothing was written;"):
        export(run, tmp_path / "a.txt", format="text", size=(32, 64))
    assert list(tmp_path.iterdir()) == []
    kept = export(run, tmp_path / "a.txt", format="text", size=(32, 64), force=True)
    assert any("equal classes at 32x64 (99.9 % is required)" in fault for fault in kept.faults)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (Layers(), r"with every layer in 8 bits; nothing"),
        (
            Layers((), ("a", "b", "c", "d")),
            r"with every layer in 8 bits \(the first to leave in float32: a, b, c\); nothing",
        ),
        (
            Layers(("a",), ("a", "b")),
            r"with 1 layers left in float32 \(the first to leave in float32: a, b\); nothing",
        ),
    ],
)
def test_a_quantised_file_that_fails_names_the_layers_that_cost_most(
    layers: Layers,
    said: str,
    run: Path,
    text: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write(
        network: nn.Module, file: Path, size: tuple[int, int], contract: Contract, *_: object
    ) -> Layers:
        file.write_text(contract.as_text())
        return layers

    monkeypatch.setattr(onnx, "write_text", write)
    row = {**vars(ROW), "calibrated": True, "agreement": 0.999, "loss_points": None}
    monkeypatch.setitem(FORMATS, "text", Format(**row))
    with pytest.raises(SegdistillError, match=said):
        export(run, tmp_path / "a.txt", format="text", size=(32, 64), calibration=1)


def test_a_format_of_one_size_is_compared_at_that_size(
    run: Path, text: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {**vars(ROW), "any_size": False, "agreement": 0.999}
    monkeypatch.setitem(FORMATS, "text", Format(**row))
    said: list[object] = []
    kept = export(
        run, tmp_path / "a.txt", format="text", size=(30, 64), force=True, tell=said.append
    )
    assert "text: the file takes images of 30x64" in str(said)
    assert [at.size for at in kept.parity] == [(30, 64)]
    assert json.loads(kept.file.read_text())["size"] == [30, 64]
    with pytest.raises(SegdistillError, match=r"a --size of multiples of 32 may work"):
        export(run, tmp_path / "b.txt", format="text", size=(30, 64))
    with pytest.raises(SegdistillError, match=r"nothing was written; --force keeps it"):
        export(run, tmp_path / "b.txt", format="text", size=(32, 64))


@pytest.mark.parametrize(("recorded", "told"), [(0.9, True), (0.0, False)])
def test_a_size_that_costs_the_network_itself_is_told(
    recorded: float, told: bool, run: Path, text: None, tmp_path: Path
) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    result = json.loads((copy / "result.json").read_text()) | {"miou": recorded}
    (copy / "result.json").write_text(json.dumps(result))
    said: list[object] = []
    made = export(copy, format="text", size=(30, 64), static=True, force=True, tell=said.append)
    assert made.score is not None
    sentence = f"{100 * made.score.network_miou:.2f}, and 90.00 as its run was scored"
    assert (
        f"text: on images of 30x64 the network itself has a mIoU of {sentence}" in str(said)
    ) is told


def test_weights_alone_are_compared_on_noise_and_not_scored(
    run: Path, text: None, tmp_path: Path
) -> None:
    weights = tmp_path / "b.safetensors"
    weights.write_bytes(student_file(run).read_bytes())
    said: list[object] = []
    made = export(weights, tmp_path / "a.txt", format="text", tell=said.append)
    assert made.score is None
    assert "compared on noise instead of scored" in str(said)
    with pytest.raises(DataError, match="expected a run folder for onnx-int8"):
        export(weights, tmp_path / "a.int8.onnx", format="onnx-int8")


@pytest.mark.long
def test_an_exported_file_predicts_like_its_network(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    export(run, tmp_path / "a.onnx", size=(48, 64), scored=1)
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    of_file = segdistill.load(tmp_path / "a.onnx").predict(image)
    weights = tmp_path / "b.safetensors"  # without the run's own scales
    weights.write_bytes(student_file(run).read_bytes())
    of_network = segdistill.load(weights)
    assert of_file.names == of_network.classes.names
    assert (of_file.mask == of_network.predict(image).mask).mean() > 0.999


@pytest.mark.long
def test_a_file_of_two_parts_is_written_moved_and_read(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    made = export(run, tmp_path / "a.xml", format="openvino", size=(48, 64), scored=1)
    assert {path.name for path in tmp_path.iterdir()} == {"a.xml", "a.bin", LEDGER}
    assert segdistill.load(made.file).classes.names == read_student(student_file(run)).classes
    parts = [(tmp_path / name).stat().st_size for name in ("a.xml", "a.bin")]
    assert made.mib == pytest.approx(sum(parts) / 2**20)
    with pytest.raises(ConfigError, match=r"expected the name of a \.xml file, got a\.onnx"):
        export(run, tmp_path / "a.onnx", format="openvino")


def test_an_unknown_format_is_refused_with_the_nearest(run: Path) -> None:
    with pytest.raises(ConfigError, match="there is no format 'onx'; did you mean 'onnx'"):
        export(run, format="onx")
