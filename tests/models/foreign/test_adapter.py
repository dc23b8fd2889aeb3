"""The adapter: logits out of anything, classes in order, padding that leaves no trace."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.models import Adaptation, Adapter, FrozenTeacher
from segdistill.models.taps import TapShape, describe, list_taps, record
from segdistill.types import SegOutput

IMAGES = torch.rand(2, 3, 37, 50, generator=torch.Generator().manual_seed(0))


class Body(nn.Module):
    """Refuses sizes that 8 does not divide, and has tokens inside."""

    def __init__(self, give: Callable[[Tensor], object] = lambda logits: logits) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 8, stride=8)
        self.norm = nn.BatchNorm2d(6)
        self.tokens = nn.Linear(6, 6)
        self.classifier = nn.Conv2d(6, 4, 1)
        self.give = give

    def forward(self, images: Tensor) -> object:
        if images.shape[2] % 8 or images.shape[3] % 8:
            raise RuntimeError("a size that 8 does not divide")
        maps = self.norm(self.stem(images))
        tokens = self.tokens(maps.flatten(2).mT)
        return self.give(self.classifier(tokens.mT.reshape(maps.shape)))


@dataclass
class Output:
    scores: Tensor
    loss: float


GIVEN: list[tuple[Callable[[Tensor], object], str | None]] = [
    (lambda x: x, None),
    (lambda x: SegOutput(x), None),
    (lambda x: {"logits": x, "loss": torch.zeros(())}, None),
    (lambda x: OrderedDict(out=x, aux=-x), None),
    (lambda x: {"a": x, "b": -x}, "a"),
    (lambda x: [torch.zeros(3), x], None),
    (lambda x: (x, -x), "0"),
    (lambda x: Output(x, 0.5), "scores"),
    (lambda x: Output(x, 0.5), None),
]


@pytest.mark.parametrize(("give", "output"), GIVEN)
def test_finds_the_logits_in_whatever_the_network_returns(
    give: Callable[[Tensor], object], output: str | None
) -> None:
    body = Body(give).eval()
    adapter = Adapter(body, 4, Adaptation(output=output, divisor=8)).eval()
    padded = nn.functional.pad(IMAGES, (0, 6, 0, 3))
    expected = body.classifier(
        body.tokens(body.norm(body.stem(padded)).flatten(2).mT).mT.reshape(2, 6, 5, 7)
    )
    assert_close(adapter(IMAGES).logits, expected)


def test_a_trained_networks_auxiliary_logits_are_kept() -> None:
    adapter = Adapter(Body(lambda x: {"out": x, "aux": -x}), 4, Adaptation(divisor=8))
    output = adapter.train()(IMAGES)
    assert_close(output.auxiliary, -output.logits)
    assert adapter.eval()(IMAGES).auxiliary is None


class Same(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images


def test_padding_is_cut_off_again_at_any_stride() -> None:
    assert_close(Adapter(Same(), 3, Adaptation(divisor=32))(IMAGES).logits, IMAGES)
    pooled = Adapter(nn.MaxPool2d(4), 3, Adaptation(divisor=32))(IMAGES).logits
    assert pooled.shape == (2, 3, 10, 13)


def test_normalises_before_it_pads() -> None:
    adapter = Adapter(Same(), 3, Adaptation(mean=(0.5, 0.4, 0.3), std=(0.2, 0.5, 1.0), divisor=8))
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.5, 1.0])
    expected = (IMAGES - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
    assert_close(adapter(IMAGES).logits, expected)


def test_puts_classes_into_our_order_and_may_leave_some_out() -> None:
    logits = Adapter(Same(), 2, Adaptation(class_map=(2, 0)))(IMAGES).logits
    assert_close(logits, IMAGES[:, [2, 0]])


def test_taps_are_cut_to_the_image_and_tokens_become_maps() -> None:
    body = Body()
    adapter = Adapter(
        body, 4, Adaptation(divisor=32), taps={"backbone": "norm", "deep.tokens": "network.tokens"}
    ).eval()
    with record(adapter, ["backbone", "deep.tokens", "logits"]) as maps:
        output = adapter(IMAGES)
    assert_close(maps["logits"], output.logits)
    assert maps["backbone"].shape == (2, 6, 5, 7)
    expected = body.tokens(maps["backbone"].flatten(2).mT).mT.reshape(2, 6, 5, 7)
    assert_close(maps["deep.tokens"], expected)
    shapes = describe(adapter, ["backbone", "deep.tokens"], (64, 64))
    assert shapes == {"backbone": TapShape(6, 8), "deep.tokens": TapShape(6, 8)}
    assert shapes["backbone"].size == (8, 8)
    assert not any(each._forward_hooks for each in adapter.modules())


@pytest.mark.parametrize("taps", [["backbone"], ["logits"], ["stem", "backbone", "logits"]])
def test_a_frozen_adapter_gives_the_same_maps(taps: list[str]) -> None:
    body = Body()
    body.norm.running_mean.uniform_(0.5, 1.0)
    adapter = Adapter(
        body, 4, Adaptation(divisor=8), taps={"backbone": "norm", "stem": "stem"}
    ).eval()
    with record(adapter, taps) as expected:
        adapter(IMAGES)
    teacher = FrozenTeacher(adapter, taps)
    for _ in range(2):
        maps = teacher(IMAGES)
        assert list(maps) == taps
        for name in taps:
            assert_close(maps[name], expected[name])


def test_a_frozen_adapter_stops_at_the_deepest_tap() -> None:
    teacher = FrozenTeacher(
        Adapter(Body(), 4, Adaptation(divisor=8), taps={"early": "stem"}), ["early"]
    )
    teacher(IMAGES)
    ran = []
    teacher.network.network.tokens.register_forward_hook(lambda *_: ran.append(True))
    teacher(IMAGES)
    assert ran == []


def test_every_module_that_gives_a_map_is_listed() -> None:
    adapter = Adapter(Body(), 4, Adaptation(divisor=8), taps={"backbone": "norm"})
    shapes = list_taps(adapter, (64, 96))
    assert next(iter(shapes)) in {"logits", "backbone"}
    assert shapes["network.stem"] == shapes["network.tokens"] == TapShape(6, 8)
    assert shapes["logits"] == TapShape(4, 8)


@pytest.mark.parametrize(
    ("give", "output", "message"),
    [
        (
            lambda x: {"a": x, "b": x},
            None,
            "one map of logits, got dict of a .*, b .*; set output to 'a' or 'b'",
        ),
        (lambda x: {"a": x}, "c", "an output 'c', got dict of a .*; set output to 'a'"),
        (lambda x: x.mean(), None, r"logits \(N, classes, h, w\) in a tensor, got \(\)"),
        (lambda x: None, None, "one map of logits, got NoneType of no tensors; return"),
        (lambda x: x[:, :3], None, "logits of 4 classes, got 3 from Body; give.*class_map"),
    ],
)
def test_refuses_outputs_without_our_logits(
    give: Callable[[Tensor], object], output: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=f"Adapter: expected {message}"):
        Adapter(Body(give), 4, Adaptation(output=output, divisor=8)).eval()(IMAGES)


def test_a_network_that_does_not_take_the_images_is_quoted() -> None:
    with pytest.raises(
        ValueError,
        match=r"images of 37x50, got from Body \(test_adapter.py, line \d+\): a size that",
    ):
        Adapter(Body(), 4)(IMAGES)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("no memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate"
            " memory: you tried to allocate 1 bytes"
        ),
        RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]"),
    ],
)
def test_what_the_machine_fails_at_is_not_blamed_on_the_network(error: RuntimeError) -> None:
    def fail(_logits: Tensor) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        Adapter(Body(fail), 4, Adaptation(divisor=8))(IMAGES)
    assert raised.value is error


def test_a_tap_without_a_map_stops_only_who_asks_for_it() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.append(nn.Unflatten(1, (4, 1, 1)))
    adapter = Adapter(network, 4, taps={"flat": "2", "backbone": "0"}).eval()
    assert adapter(IMAGES).logits.shape == (2, 4, 1, 1)
    assert "flat" not in list_taps(adapter, (64, 64))
    assert describe(adapter, ["backbone"], (64, 64)) == {"backbone": TapShape(4, 8)}
    with pytest.raises(ValueError, match=r"tap 'flat': .*got a tensor of shape \(1, 4\)"):
        describe(adapter, ["flat"], (64, 64))


def test_refuses_settings_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"each of the 3 classes, got \[0, 1\]"):
        Adapter(Body(), 3, Adaptation(class_map=(0, 1)))
    with pytest.raises(ValueError, match=r"the class 4 that class_map names, got 4 classes from B"):
        Adapter(Body(), 2, Adaptation(class_map=(0, 4), divisor=8))(IMAGES)
    with pytest.raises(ValueError, match="mean and std together"):
        Adapter(Body(), 4, Adaptation(mean=(0.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="got 'sten'; did you mean 'stem'"):
        Adapter(Body(), 4, taps={"backbone": "sten"})
