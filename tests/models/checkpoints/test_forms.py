"""Every form in which people have weights loads, exactly, and says what was left out."""

import argparse
import collections
import json
import pickle
import re
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.errors import CheckpointError
from segdistill.models import load_weights
from segdistill.models.checkpoints.pickles import read_pickle
from segdistill.models.checkpoints.reading import read_checkpoint
from segdistill.models.checkpoints.record import Loaded

State = Mapping[str, Tensor]


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return nn.ModuleDict({"body": body, "decode_head": nn.Conv2d(4, 5, 1)})


def under(prefix: str, state: State) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def inside(part: str, state: State) -> dict[str, Tensor]:
    """Wrap one part of a network, as DataParallel of an encoder does."""
    return {name.replace(f"{part}.", f"{part}.module.", 1): each for name, each in state.items()}


class History:
    """Stands for a class of another library, such as mmengine's HistoryBuffer."""

    def __init__(self) -> None:
        self.values = np.arange(3.0)
        self.latest = collections.deque([1.0, 2.0], maxlen=5)
        self.by_name = collections.defaultdict(list, {"loss": [0.5]})


FORMS: dict[str, tuple[Callable[[State], Any], str]] = {
    "plain.pth": (dict, ""),
    "ordered.pt": (collections.OrderedDict, ""),
    "epoch.pth": (lambda state: {"state_dict": state, "epoch": 3}, "'state_dict'.*not read: epoch"),
    "model.pth": (lambda state: {"model": state, "optimizer": {}}, "'model'.*not read: optimizer"),
    "key.pth": (lambda state: {"model_state_dict": state}, "key 'model_state_dict'"),
    "net.pth": (lambda state: {"net": state}, "key 'net'"),
    "timm_ema.pth": (lambda state: {"state_dict_ema": state}, "key 'state_dict_ema'"),
    "deep.pth": (lambda state: {"run": {"best": {"module": state}}}, "key 'run.best.module'"),
    "unknown.pth": (lambda state: {"whatever": state, "step": 1}, "key 'whatever'"),
    "parallel.pth": (lambda state: under("module.", state), "'module.' stripped"),
    "compiled.pth": (lambda state: under("_orig_mod.", state), "'_orig_mod.' stripped"),
    "nested.pth": (
        lambda state: {"state_dict": under("module._orig_mod.model.", state)},
        "'module._orig_mod.model.' stripped",
    ),
    "encoder_in_parallel.pth": (lambda state: inside("body", state), "'module.' stripped"),
    "backbone.pth": (lambda state: under("backbone.", state), "'backbone.' stripped"),
    "network.pth": (lambda state: under("network.", state), "'network.' stripped"),
    "lightning.ckpt": (
        lambda state: {
            "state_dict": under("model.", state) | {"criterion.weight": torch.ones(5)},
            "hyper_parameters": {"lr": 0.1},
            "optimizer_states": [{"state": {0: {"momentum": torch.zeros(3)}}}],
        },
        r"'model.' stripped.*left out: criterion \(1\).*hyper_parameters, optimizer_states",
    ),
    "distilled.pth": (
        lambda state: {
            "meta": {"iter": 3},
            "state_dict": under("architecture.", state) | under("teacher.", state),
        },
        r"'architecture.' stripped.*left out: teacher \(8\)",
    ),
    "student_and_teacher.ckpt": (
        lambda state: {
            "state_dict": under("teacher.", {name: 0 * each for name, each in state.items()})
            | under("student.", state)
        },
        r"'student.' stripped.*left out: teacher \(8\)",
    ),
    "auxiliary.pth": (
        lambda state: {**state, "aux_classifier.4.weight": torch.ones(5)},
        r"left out: aux_classifier \(1\)",
    ),
    "history.pth": (
        lambda state: {"state_dict": state, "message_hub": {"log": History()}},
        r"not read: message_hub, code \(.*History",
    ),
    "scalars.pth": (
        lambda state: {"state_dict": state, "best": np.float64(0.5), "all": np.arange(3)},
        "not read: best, all, code",
    ),
    "arguments.pth": (
        lambda state: {"model": state, "args": argparse.Namespace(lr=0.1, out=Path("runs"))},
        r"not read: args, code \(argparse.Namespace",
    ),
    "checkpoint.pth.tar": (lambda state: {"state_dict": under("module.", state)}, "'module.'"),
    "weights.tar": (dict, ""),
    "weights.th": (dict, ""),
    "upper.PTH": (dict, ""),
    "none": (dict, ""),
    "counters.pth": (
        lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
        "1 batch counters are missing",
    ),
    "profiled.pth": (lambda state: {**state, "body.total_ops": torch.zeros(1)}, ""),
}


@pytest.fixture(autouse=True)
def _library_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("their_library")
    monkeypatch.setattr(History, "__module__", "their_library")
    module.History = History  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "their_library", module)


def loaded(path: Path, expected: nn.Module) -> Loaded:
    target = network(seed=1)
    record = load_weights(target, path)
    assert_close(target.state_dict(), expected.state_dict(), atol=0, rtol=0)
    return record


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
def test_loads_exactly_and_says_how(form: str, archive: bool, tmp_path: Path) -> None:
    wrap, sentence = FORMS[form]
    first = network()
    torch.save(wrap(first.state_dict()), tmp_path / form, _use_new_zipfile_serialization=archive)
    said = " ".join(loaded(tmp_path / form, first).sentences())
    assert (said == "") == (sentence == "")
    assert re.search(sentence, said), said


def test_half_precision_is_said_and_widened(tmp_path: Path) -> None:
    first = network().half().float()
    state = {k: v.half() if v.is_floating_point() else v for k, v in first.state_dict().items()}
    torch.save(state, tmp_path / "half.pth")
    assert "half precision" in " ".join(loaded(tmp_path / "half.pth", first).sentences())


def test_of_weights_and_averaged_weights_the_first_are_taken_and_said(tmp_path: Path) -> None:
    first, average = network(), network(seed=2)
    content = {"ema": average.state_dict(), "model": first.state_dict()}
    torch.save(content, tmp_path / "both.pth")
    said = " ".join(loaded(tmp_path / "both.pth", first).sentences())
    assert "key 'model'" in said
    assert "not read: ema" in said


def test_a_module_that_was_pickled_whole_gives_its_tensors_without_its_code(
    tmp_path: Path,
) -> None:
    first = network()
    torch.save({"model": first, "epoch": 1}, tmp_path / "whole.pth")
    record = loaded(tmp_path / "whole.pth", first)
    assert "torch.nn.modules" in " ".join(record.sentences())


def test_safetensors_are_known_without_their_suffix(tmp_path: Path) -> None:
    first = network()
    safetensors.torch.save_file(first.state_dict(), tmp_path / "weights")
    assert loaded(tmp_path / "weights", first).sentences() == []


def shards(folder: Path, first: nn.Module) -> Path:
    state = first.state_dict()
    names = list(state)
    parts = {"a.safetensors": names[:4], "b.safetensors": names[4:]}
    for file, part in parts.items():
        safetensors.torch.save_file({name: state[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "road", "1": "sky"}}))
    return folder / "model.safetensors.index.json"


def test_shards_are_put_together_and_their_folder_will_do(tmp_path: Path) -> None:
    first = network()
    index = shards(tmp_path, first)
    loaded(index, first)
    loaded(tmp_path, first)
    assert read_checkpoint(tmp_path).classes == ("road", "sky")


def test_a_shard_that_is_gone_or_elsewhere_is_named(tmp_path: Path) -> None:
    index = shards(tmp_path, network())
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"its shard b.safetensors"):
        read_checkpoint(index)
    index.write_text(json.dumps({"weight_map": {"x": "../a.safetensors"}}))
    with pytest.raises(CheckpointError, match=r"shards beside it, got \.\./a"):
        read_checkpoint(index)
    for text in ("[]", "[" * 100_000):
        index.write_text(text)
        with pytest.raises(CheckpointError, match="expected an index of shards"):
            read_checkpoint(index)


@pytest.mark.parametrize(
    "meta",
    [
        {"meta": {"CLASSES": ("road", "sky")}},
        {"meta": {"dataset_meta": {"classes": ["road", "sky"]}}},
        {"class_names": ["road", "sky"]},
    ],
)
def test_class_names_of_other_trainers_are_read(meta: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"state_dict": network().state_dict(), **meta}, tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth").classes == ("road", "sky")


class Code:
    """Would run something when it is unpickled as pickle does it."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.reduced = (call, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
def test_code_beside_the_tensors_is_named_and_never_run(archive: bool, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    first = network()
    content = {
        "model": first.state_dict(),
        "eval": Code(eval, f"open({str(mark)!r}, 'w')"),
        "open": Code(open, str(mark), "w"),
        "built": Code(type, "Name", (), {}),
    }
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=archive)
    said = " ".join(loaded(tmp_path / "a.pth", first).sentences())
    assert "builtins.eval" in said
    assert not mark.exists()


def test_modules_of_the_operating_system_are_refused_by_name(tmp_path: Path) -> None:
    import os

    mark = tmp_path / "ran"
    content = {"model": network().state_dict(), "x": Code(os.system, f"touch {mark}")}
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"never run \(posix\.system\)|never run \(nt\."):
        read_checkpoint(tmp_path / "a.pth")
    assert not mark.exists()


def test_a_placeholder_leaves_no_trace_in_torch(tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    torch.save({"args": argparse.Namespace()}, tmp_path / "a.pth")
    content, names = read_pickle(tmp_path / "a.pth")
    assert isinstance(content, dict)
    assert names == ("argparse.Namespace",)
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "a.pth", weights_only=True)


def test_a_file_without_tensors_says_what_it_has(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "args": {"lr": 0.1}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"tensors by name, got one without \(keys: epoch"):
        read_checkpoint(tmp_path / "a.pth")
