"""Latency: the circumstances are recorded, the network and torch are left as they were."""

import time

import pytest
import torch
from torch import Tensor, nn

from segdistill.delivery import load
from segdistill.delivery.latency import measure, measure_together
from segdistill.models import build_network


class Sleeper(nn.Module):
    """Takes its time, the first call most of it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        time.sleep(0.2 if self.calls == 0 else 0.01)
        self.calls += 1
        return images


def test_the_warm_up_does_not_count() -> None:
    sleeper = Sleeper()
    latency = measure(sleeper, (8, 8), batch=2, warm_up=1, passes=5)
    assert sleeper.calls == 6
    assert 10 <= latency.median_ms < 100
    assert latency.low_ms <= latency.median_ms <= latency.high_ms
    assert latency.images_per_second == pytest.approx(2000 / latency.median_ms)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_says_what_was_measured_and_restores_the_rest(precision: str) -> None:
    settings = {"network": "fcn", "backbone": "mobilenetv2_035", "width": 8}
    network = build_network(settings, classes=5, seed=0).train()
    threads = torch.get_num_threads()
    latency = measure(
        network, (64, 96), precision=precision, channels_last=False, warm_up=1, passes=2
    )
    assert (latency.size, latency.precision, latency.passes) == ((64, 96), precision, 2)
    assert (latency.threads, latency.channels_last, latency.compiled) == (1, False, False)
    assert latency.device
    assert latency.peak_mib is None or latency.peak_mib >= 0
    assert network.training
    assert torch.get_num_threads() == threads


class Hungry(nn.Module):
    """Needs 160 MiB for a moment, below a block that stays, so that glibc keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        held = [torch.ones(20 * 2**10) for _ in range(2048)]
        self.kept.append(torch.ones(20 * 2**10))
        return images + len(held)


def test_memory_that_was_freed_before_counts_again() -> None:
    hungry = Hungry()
    peaks = [measure(hungry, (8, 8), warm_up=1, passes=1).peak_mib for _ in range(3)]
    assert all(peak is None or 150 < peak < 250 for peak in peaks)


def test_a_compiled_network_is_measured_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def compile_it(network: nn.Module) -> nn.Module:
        compiled.append(network)
        return network

    monkeypatch.setattr("torch.compile", compile_it)
    network = nn.Conv2d(3, 4, 3)
    assert measure(network, (8, 8), compiled=True, passes=1).compiled
    assert compiled == [network]


def test_refuses_counts_and_precisions_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="measure: expected passes of at least 1, got 0"):
        measure(Sleeper(), (8, 8), passes=0)
    with pytest.raises(ValueError, match="expected precision fp32, bf16 or fp16, got int8"):
        measure(Sleeper(), (8, 8), precision="int8")


class Recorder(nn.Module):
    """Says its name to a list at every pass, which takes some time."""

    def __init__(self, name: str, said: list[str], seconds: float = 0.0) -> None:
        super().__init__()
        self.name, self.said, self.seconds = name, said, seconds

    def forward(self, images: Tensor) -> Tensor:
        self.said.append(self.name)
        time.sleep(self.seconds)
        return images


def test_networks_take_turns_in_an_order_that_turns() -> None:
    said: list[str] = []
    networks = {name: Recorder(name, said) for name in "abc"}
    timed = measure_together(networks, (8, 8), warm_up=1, passes=4)
    assert "".join(said) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert {one.passes for one in timed.values()} == {4}
    assert len({one.others for one in timed.values()}) == 1


def test_a_slowdown_hits_every_network_and_slow_ones_end_early() -> None:
    said: list[str] = []
    networks = {"fast": Recorder("fast", said), "slow": Recorder("slow", said, seconds=0.01)}
    timed = measure_together(networks, (8, 8), warm_up=0, passes=1000, most_seconds=0.05)
    assert timed["fast"].passes == timed["slow"].passes
    assert 5 <= timed["slow"].passes < 10
    assert timed["fast"].median_ms < timed["slow"].median_ms


def test_what_other_programs_take_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def counters(lines: list[str]) -> None:
        times = iter(lines)
        monkeypatch.setattr(load.Path, "read_text", lambda *_args, **_words: next(times))

    monkeypatch.setattr(load.os, "times", lambda: (0.0, 0.0, 0.0, 0.0, 0.0))
    counters(["cpu  100 0 50 800 50 0 0 0 0 0\n", "cpu  130 0 60 850 60 0 0 0 0 0\n"])
    with load.watch_others() as others:
        pass
    assert others.share == pytest.approx(40 / 100)
    monkeypatch.undo()
    monkeypatch.setattr(load, "_STAT", load.Path("/nowhere"))
    with load.watch_others() as others:
        pass
    assert others.share is None
