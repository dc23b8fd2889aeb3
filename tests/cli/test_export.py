"""export: a file that agrees with its network, or none."""

import json
from pathlib import Path

import pytest
from PIL import Image

from segdistill.api import export as module
from segdistill.delivery import onnx_fp16, opening, parity
from segdistill.errors import FileRefusedError
from segdistill.files import LEDGER, write_whole

from .conftest import Cli, Done, Trained

pytestmark = pytest.mark.long  # whole runs

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)


def test_a_student_is_written_and_compared_at_four_sizes(
    exported: tuple[Done, Path], cli: Cli
) -> None:
    done, file = exported
    assert done.code == 0
    made = json.loads(done.out)
    assert made["file"] == str(file)
    assert {path.name for path in file.parent.iterdir()} == {"a.onnx", LEDGER}
    assert made["parity"][0]["size"] == [48, 64]
    assert len(made["parity"]) == 4
    assert all(one["agreement"] > 0.999 for one in made["parity"])
    assert made["score"]["images"] == 3
    assert made["score"]["loss_points"] == pytest.approx(0, abs=0.1)
    Image.new("RGB", (60, 50), "red").save("photo.png")
    predicted = cli("predict", file, "photo.png", "--out", "masks")
    assert (predicted.code, predicted.out) == (0, "1 predictions written to masks\n")
    assert Image.open("masks/photo.png").size == (60, 50)
    done = cli("predict", file, "--split", "val")
    assert (done.code, done.out) == (2, "")
    assert "a.onnx, which belongs to no dataset, got --split" in done.err


@pytest.mark.usefixtures("written")
def test_a_file_that_disagrees_is_not_kept(
    trained: Trained, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = parity.Parity((48, 64), 0.5, 0.9)
    monkeypatch.setattr(module, "compare", lambda *_words, **_image: [far])
    done = cli("export", trained.run, "--out", "out/a.onnx")
    assert (done.code, done.out) == (1, "")
    assert "got logits that differ by 0.5 at 48x64 (0.001 is allowed)" in done.err
    assert "90.00 % equal classes at 48x64 (99.9 % is required)" in done.err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.usefixtures("written")
def test_what_the_runtime_says_is_passed_on_with_a_way_out(
    trained: Trained, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = parity.Parity((96, 128), float("inf"), 0.0, "Reshape node: cannot be reshaped")
    monkeypatch.setattr(module, "compare", lambda *_words, **_image: [failed])
    done = cli("export", trained.run, "--out", "a.onnx")
    assert "got none that runs at 96x128: Reshape node: cannot be reshaped" in done.err
    assert "--static writes a file for one image size" in done.err


def test_a_static_file_takes_one_size_and_says_so(trained: Trained, cli: Cli) -> None:
    import onnxruntime

    done = cli("export", trained.run, "--out", "a.onnx", "--size", "32x48", "--static", "--json")
    assert [one["size"] for one in json.loads(done.out)["parity"]] == [[32, 48]]
    (given,) = onnxruntime.InferenceSession("a.onnx").get_inputs()
    assert given.shape == [1, 3, 32, 48]


def test_a_missing_package_is_named_with_what_to_install(
    trained: Trained, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = opening.find_spec
    monkeypatch.setattr(
        opening, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    done = cli("export", trained.run)
    assert (done.code, done.out) == (2, "")
    assert "got no onnxruntime; pip install 'segdistill[onnx]'" in done.err


def test_an_unknown_format_is_refused(trained: Trained, cli: Cli) -> None:
    done = cli("export", trained.run, "--format", "onx")
    assert done.code == 2
    assert "--format: there is no 'onx'; did you mean 'onnx'?" in done.err


def test_never_writes_over_weights_or_a_foreign_file(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    weights = trained.run / "model.safetensors"
    before = weights.read_bytes()
    foreign = tmp_path / "other.onnx"
    foreign.write_text("of another program")
    for file in (weights, foreign):
        done = cli("export", trained.run, "--out", file)
        assert (done.code, done.out) == (2, "")
        assert f"got {file}; choose another place" in done.err
    assert weights.read_bytes() == before
    assert foreign.read_text() == "of another program"


@pytest.mark.usefixtures("written")
def test_a_file_that_was_exported_may_be_exported_again(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    write_whole(tmp_path / "a.onnx", "an older one", made_by="export")
    assert cli("export", trained.run, "--out", "a.onnx", "--scored", "1").code == 0
    assert (tmp_path / "a.onnx").read_bytes() != b"an older one"


@pytest.mark.usefixtures("written")
def test_formats_that_fail_leave_the_others_and_their_card(
    trained: Trained, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object) -> None:
        raise FileRefusedError("export: expected a file that agrees with the network")

    monkeypatch.setattr(onnx_fp16, "write_onnx_fp16", refuse)
    words = ("--format", "onnx", "--format", "onnx-fp16", "--scored", "1", "--hub", "given")
    done = cli("export", trained.run, *words)
    assert done.code == 1
    assert "expected 2 files, got 1:\n  onnx-fp16: export: expected a file that agrees" in done.err
    assert {path.name for path in Path("given").iterdir()} >= {"README.md", "student.onnx"}
    assert "`student.onnx`" in Path("given/README.md").read_text()


def test_one_place_for_several_formats_is_refused(trained: Trained, cli: Cli) -> None:
    done = cli("export", trained.run, "--format", "onnx", "--format", "openvino", "--out", "a.onnx")
    assert (done.code, done.out) == (2, "")
    assert "expected --out with a single format, got 2 formats" in done.err
