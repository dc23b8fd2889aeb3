"""Weights on disk: whole files, strict loading, no code."""

import pickle
import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from segdistill.errors import CheckpointError
from segdistill.models import load_weights, read_config, save_network

CONFIG = {"network": "fcn", "width": 8, "nested": {"classes": ["road", "Straße"]}}


def network(width: int = 4, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))


def test_weights_buffers_and_config_come_back(tmp_path: Path) -> None:
    first, second = network(seed=0), network(seed=1)
    first[1].running_mean.fill_(3.0)
    save_network(tmp_path / "a.safetensors", first, CONFIG)
    load_weights(second, tmp_path / "a.safetensors")
    assert_close(second.state_dict(), first.state_dict(), atol=0, rtol=0)
    assert read_config(tmp_path / "a.safetensors") == CONFIG


def test_channels_last_and_tied_weights_are_saved(tmp_path: Path) -> None:
    first = network().to(memory_format=torch.channels_last)
    tied = nn.ModuleList([first, first])
    save_network(tmp_path / "a.safetensors", tied, {})
    second = nn.ModuleList([network(seed=1), network(seed=2)])
    load_weights(second, tmp_path / "a.safetensors")
    assert_close(second[1][0].weight, first[0].weight)


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    save_network(path, network(), {"old": True})

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_network(path, network(seed=1), {"old": False})
    assert read_config(path) == {"old": True}
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_lists_what_is_missing_extra_and_of_another_shape(tmp_path: Path) -> None:
    save_network(tmp_path / "a.safetensors", network(width=4), {})
    other = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Identity(), nn.Conv2d(5, 5, 1))
    before = other[0].weight.clone()
    with pytest.raises(CheckpointError) as caught:
        load_weights(other, tmp_path / "a.safetensors")
    message = str(caught.value)
    assert "missing (2): 2.weight, 2.bias" in message
    assert "extra (4): 1." in message
    assert "0.weight (4, 3, 3, 3) where the network has (5, 3, 3, 3)" in message
    assert_close(other[0].weight, before)


def test_reads_a_state_dict_of_torch(tmp_path: Path) -> None:
    first, second = network(seed=0), network(seed=1)
    torch.save({"state_dict": first.state_dict(), "epoch": 3}, tmp_path / "a.pth")
    load_weights(second, tmp_path / "a.pth")
    assert_close(second.state_dict(), first.state_dict())


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


def test_a_file_that_holds_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Bomb()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Bomb(), protocol=2))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(CheckpointError, match="holds code, which is never run"):
            load_weights(network(), tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_refuses_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(FileNotFoundError, match="expected a file at"):
        load_weights(network(), path)
    path.write_text("not weights")
    for read in (read_config, lambda path: load_weights(network(), path)):
        with pytest.raises(CheckpointError, match="expected a safetensors file"):
            read(path)
    save_network(path, network(), {})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="cut off"):
        load_weights(network(), path)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_bytes_of_any_kind_are_refused_as_no_weights(name: str, tmp_path: Path) -> None:
    rng = random.Random(0)
    for length in [*range(12), *(rng.randrange(400) for _ in range(150))]:
        (tmp_path / name).write_bytes(rng.randbytes(length))
        with pytest.raises(CheckpointError, match=r"expected a (file of tensors|safetensors file)"):
            load_weights(network(), tmp_path / name)


def test_refuses_to_guess_a_config(tmp_path: Path) -> None:
    import safetensors.torch

    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="without a config"):
        read_config(tmp_path / "a.safetensors")
