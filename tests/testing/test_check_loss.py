"""The contract of losses: those of the table keep it, and each breach is found and named."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segdistill.catalogue.losses import LOSSES
from segdistill.errors import ConfigError
from segdistill.testing import CHECKS, check_loss, find_breaches

Loss = Callable[..., Tensor]


def sound(student: Tensor, teacher: Tensor, valid: Tensor, temperature: float = 1.0) -> Tensor:
    """A masked mean squared difference of the two maps, over the positions of all processes."""
    difference = (student.float() - teacher.detach().float()) / temperature
    squares = difference.square().mean(dim=1).masked_fill(~valid, 0.0)
    count = valid.sum().float()
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(count)
        count /= torch.distributed.get_world_size()
    return squares.sum() / count.clamp_min(0.5)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_of_the_table_keeps_it(name: str) -> None:
    check_loss(name, processes=False)


def test_a_sound_loss_keeps_it_in_two_processes_too() -> None:
    check_loss(sound, settings={"temperature": 2.0})


def summed(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    return sound(student, teacher, valid) * len(student)


def teaching_the_teacher(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    return (student - teacher).square().mean(dim=1).masked_fill(~valid, 0).sum() / (
        valid.sum().clamp_min(1)
    )


def over_positions(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    return sound(student, teacher, valid) * student[0, 0].numel()


def viewed(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    return sound(student, teacher, valid) + 0 * student.view(-1).sum()


def in_half(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    return sound(student, teacher, valid).to(student.dtype)


def products(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    loss: Tensor = 0
    for maps, sign in ((student, 1), (teacher.detach(), -1)):
        gram = torch.einsum("nchw,nchw->nc", maps, maps) / valid.sum().clamp_min(1)
        loss = loss + sign * gram
    return loss.square().float().mean()


def with_padding(student: Tensor, teacher: Tensor) -> Tensor:
    return F.mse_loss(student.float(), teacher.detach().float())


def naked_log(student: Tensor, teacher: Tensor) -> Tensor:
    p, q = student.float().softmax(dim=1), teacher.detach().float().softmax(dim=1)
    return (q * (q.log() - p.log())).sum(dim=1).mean()


def unclamped(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    lengths = [x.float().norm(dim=1, keepdim=True) + 1e-12 for x in (student, teacher.detach())]
    return sound(student / lengths[0], teacher / lengths[1], valid)


def shifted(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    return sound(student, teacher + 1, valid)


def alone(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    squares = (student.float() - teacher.detach().float()).square().mean(dim=1)
    return squares.masked_fill(~valid, 0.0).sum() / valid.sum().clamp_min(1)


def constant(student: Tensor, teacher: Tensor) -> Tensor:
    return torch.tensor(1.0)


def whole(student: Tensor, teacher: Tensor) -> Tensor:
    return (student - teacher).square()


def by_class(student: Tensor, teacher: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    chosen = (labels != 255).float()
    return sound(student, teacher, valid) * chosen.sum() / chosen.sum()


class Forgetful(nn.Module):
    """A loss with a memory that no checkpoint holds."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
        self.seen += 1
        return sound(student, teacher, valid) * self.seen


@pytest.mark.parametrize(
    ("loss", "check", "said"),
    [
        (constant, "a finite value and gradient", "a constant; nothing would be learnt"),
        (whole, "a finite value and gradient", "expected a scalar, or a dict of named scalars"),
        (naked_log, "finite on extreme maps", "ends the run|destroys the student"),
        (unclamped, "finite on extreme maps", "the gradient"),
        (teaching_the_teacher, "no gradient to the teacher", "detach it"),
        (summed, "a mean over images", "divide by the images"),
        (over_positions, "a mean over positions", "divide by the positions"),
        (viewed, "any memory format", "it raised RuntimeError"),
        (
            products,
            "autocast changes nothing|half precision in float32",
            "in float32|turn it off inside the loss",
        ),
        (in_half, "half precision in float32", "bring them to float32 first"),
        (shifted, "0 for the same map", "pushed away"),
        (by_class, "ignored labels", "count at least 1"),
        (with_padding, "padding is left out", "take valid= and leave them out"),
        (Forgetful, "state in the checkpoint", "buffers or get_extra_state"),
        (alone, "two processes are one", "global batch"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_breach_is_one_line_that_says_what_it_means(loss: Loss, check: str, said: str) -> None:
    findings = find_breaches(loss, processes=loss is alone)
    faults = {finding.check: finding.fault for finding in findings if finding.fault}
    found = [fault for name, fault in faults.items() if re.fullmatch(check, name)]
    assert found, faults
    assert re.search(said, found[0])
    assert "\n" not in found[0]
    with pytest.raises(AssertionError, match="the loss breaks its contract:"):
        check_loss(loss, processes=loss is alone)


def test_a_check_that_is_not_meant_to_hold_is_waived() -> None:
    check_loss(shifted, waive=["0 for the same map"], processes=False)
    with pytest.raises(ConfigError, match="there is no check '0 for the same maps'; did you mean"):
        check_loss(shifted, waive=["0 for the same maps"])


def test_a_file_a_module_and_a_class_are_found(tmp_path: Path) -> None:
    file = tmp_path / "my_loss.py"
    file.write_text(
        "import helper\nfrom torch import nn\n"
        "def my_loss(student, teacher, valid, factor=1.0):\n"
        "    return helper.sound(student, teacher, valid) * factor\n"
    )
    (tmp_path / "helper.py").write_text(
        "def sound(student, teacher, valid):\n"
        "    squares = (student.float() - teacher.detach().float()).square().mean(dim=1)\n"
        "    return squares.masked_fill(~valid, 0).sum() / valid.sum().clamp_min(1)\n"
    )
    check_loss(f"{file}:my_loss", settings={"factor": 2.0}, processes=False)
    check_loss(
        "import:segdistill.losses:pixelwise_kl", settings={"temperature": 2.0}, processes=False
    )


@pytest.mark.parametrize(
    ("loss", "settings", "message"),
    [
        ("pixelwise_lk", {}, "a loss of segdistill, got 'pixelwise_lk'; did you mean"),
        ("nowhere.py:loss", {}, "expected a Python file, got none"),
        ("import:no_such_package:loss", {}, "expected a module no_such_package"),
        ("import:segdistill.losses:pixelwise", {}, "expected a function of segdistill.losses"),
        (
            sound,
            {"temprature": 2.0},
            "expected one of its settings, got 'temprature'; did you mean",
        ),
        (lambda student: student, {}, r"student and teacher as its first two .*got \(student\)"),
        (dict, {}, "expected a function or an nn.Module, got the class dict"),
    ],
    # An address in a name would differ from one process of the tests to the next.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_tried_is_refused(
    loss: Loss, settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        find_breaches(loss, settings=settings)


def test_every_check_is_tried_on_a_sound_loss() -> None:
    findings = find_breaches(sound)
    assert [finding.check for finding in findings] == list(CHECKS)
