"""export: a file that agrees with its network, or none."""

import json
from pathlib import Path

import pytest

from segdistill.api import export as module
from segdistill.delivery import onnx, parity
from segdistill.files import LEDGER, write_whole

from .conftest import Cli, Trained

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)


def test_a_student_is_written_and_compared_at_four_sizes(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    done = cli("export", trained.run, "--out", "out/a.onnx", "--json")
    assert done.code == 0
    made = json.loads(done.out)
    assert made["file"] == "out/a.onnx"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.onnx", LEDGER}
    assert made["parity"][0]["size"] == [48, 64]
    assert len(made["parity"]) == 4
    assert all(one["agreement"] > 0.999 for one in made["parity"])


def test_a_file_that_disagrees_is_not_kept(
    trained: Trained, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = parity.Parity((48, 64), 0.5, 0.9)
    monkeypatch.setattr(onnx, "export_onnx", lambda _network, file, _size: file.touch())
    monkeypatch.setattr(parity, "compare_onnx", lambda *_words: [far])
    done = cli("export", trained.run, "--out", "out/a.onnx")
    assert (done.code, done.out) == (1, "")
    assert "got logits that differ by 0.5 and 90.00 % equal classes at 48x64" in done.err
    assert list((tmp_path / "out").iterdir()) == []


def test_what_the_runtime_says_is_passed_on_with_a_way_out(
    trained: Trained, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = parity.Parity((96, 128), float("inf"), 0.0, "Reshape node: cannot be reshaped")
    monkeypatch.setattr(onnx, "export_onnx", lambda _network, file, _size: file.touch())
    monkeypatch.setattr(parity, "compare_onnx", lambda *_words: [failed])
    done = cli("export", trained.run, "--out", "a.onnx")
    assert "at 96x128, got: Reshape node: cannot be reshaped" in done.err
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
    find = module.find_spec
    monkeypatch.setattr(
        module, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    done = cli("export", trained.run)
    assert (done.code, done.out) == (2, "")
    assert "got no onnxruntime; pip install 'segdistill[export]'" in done.err


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


def test_a_file_that_was_exported_may_be_exported_again(
    trained: Trained, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = parity.Parity((48, 64), 0.0, 1.0)
    monkeypatch.setattr(onnx, "export_onnx", lambda _network, file, _size: file.touch())
    monkeypatch.setattr(parity, "compare_onnx", lambda *_words: [near])
    write_whole(tmp_path / "a.onnx", "an older one", made_by="export")
    assert cli("export", trained.run, "--out", "a.onnx").code == 0
    assert (tmp_path / "a.onnx").read_bytes() == b""
