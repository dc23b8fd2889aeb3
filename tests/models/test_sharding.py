"""A teacher whose weights are shared out gives the maps of the whole one, in every process."""

from pathlib import Path

import pytest
import torch
from tests.training.two import in_two
from torch import Tensor, nn
from torch.testing import assert_close

from segdistill.models import sharding
from segdistill.models.frozen import FrozenTeacher
from segdistill.models.sharding import shard
from segdistill.types import SegOutput

TAPS = ("backbone", "logits")
CPU = torch.device("cpu")


class Teacher(nn.Module):
    """Blocks in a list, one with a norm that is folded, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        convolutions = (nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.Conv2d(16, 7, 3, padding=1))
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())
            for convolution in convolutions
        )
        self.backbone = nn.Identity()
        self.logits = nn.Conv2d(7, 5, 1)

    def forward(self, images: Tensor) -> SegOutput:
        for block in self.blocks:
            images = block(images)
        return SegOutput(self.logits(self.backbone(images)))


def teacher() -> FrozenTeacher:
    torch.manual_seed(0)
    return FrozenTeacher(Teacher(), TAPS)


def test_maps_are_those_of_the_whole_teacher_and_each_process_holds_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "BLOCK", 300)  # several blocks even of this one
    images = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(1))

    def run(rank: int) -> None:
        torch.set_num_threads(1)
        torch.distributed.init_process_group("gloo")
        own = teacher()
        assert own.prepare(images) == []
        own.shard(images, CPU)
        maps = [own(images[rank : rank + 1]) for _ in range(2)]
        held = sum(p.to_local().numel() for p in own.network.parameters())  # type: ignore[attr-defined]
        student = maps[1]["logits"] * torch.ones((), requires_grad=True)
        student.sum().backward()  # maps can be compared with a student's
        torch.save({"maps": maps[1], "held": held}, tmp_path / f"{rank}.pt")

    in_two(run)
    whole = teacher()
    expected = whole(images)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for name in TAPS:
        assert_close(torch.cat([one["maps"][name] for one in found]), expected[name])
    weights = sum(p.numel() for p in whole.network.parameters())
    assert sum(one["held"] for one in found) == weights
    assert max(one["held"] for one in found) < 0.6 * weights


def test_maps_that_would_change_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(1, 3, 8, 12)
    own = teacher()
    own.prepare(images)

    def spoil(network: nn.Module, device: torch.device) -> None:
        next(network.parameters()).mul_(1.1)

    monkeypatch.setattr("segdistill.models.frozen.shard", spoil)
    with pytest.raises(ValueError, match=r"teacher\.shard: expected the maps of the whole teacher"):
        own.shard(images, CPU)


def test_a_compiled_program_is_refused() -> None:
    program = torch.jit.trace(nn.Conv2d(3, 2, 1), torch.rand(1, 3, 2, 2))
    with pytest.raises(ValueError, match=r"teacher\.shard: .*compiled program"):
        shard(program, CPU)
