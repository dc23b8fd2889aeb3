"""Processes begin only from a program that can be begun again, and say once what they say."""

import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from segdistill.cli.progress import display
from segdistill.config import RunConfig
from segdistill.errors import ConfigError
from segdistill.training.devices import build_fabric
from segdistill.training.dry import try_cohort
from segdistill.training.events import Event, Note, silent

Make = Callable[..., RunConfig]


def main_is(monkeypatch: pytest.MonkeyPatch, file: str | None) -> None:
    module = ModuleType("__main__")
    if file is not None:
        module.__file__ = file
    monkeypatch.setitem(sys.modules, "__main__", module)


@pytest.mark.parametrize("file", [None, "<stdin>"])
def test_two_processes_of_a_program_without_a_file_are_refused(
    small: Make, monkeypatch: pytest.MonkeyPatch, file: str | None
) -> None:
    main_is(monkeypatch, file)
    with pytest.raises(ConfigError, match=r"training\.devices: .*python -c.*segdistill train"):
        build_fabric(small("training.devices=2"))


def test_two_processes_of_a_notebook_are_refused(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    main_is(monkeypatch, __file__)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with pytest.raises(ConfigError, match=r"training\.devices: .*a notebook"):
        build_fabric(small("training.devices=2"))


def test_workers_of_a_script_that_spawn_would_run_again_are_refused(
    small: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    main_is(monkeypatch, str(script))
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "spawn")
    script.write_text("import segdistill\nsegdistill.train('c.yaml')\n")
    with pytest.raises(ConfigError, match=r"data\.workers: .*if __name__ == '__main__':.*spawn"):
        build_fabric(small("data.workers=1"))
    build_fabric(small())
    script.write_text("if __name__ == '__main__':\n    print('guarded')\n")
    build_fabric(small("data.workers=1"))
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "fork")
    script.write_text("import segdistill\n")
    build_fabric(small("data.workers=1"))


def test_the_second_process_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with display() as tell:
        assert tell is silent


class HalfUsed(nn.Module):
    """A network with a layer that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Conv2d(3, 11, 4, stride=4)
        self.unread = nn.Conv2d(3, 11, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.read(images)
        return result


def test_parameters_that_no_loss_reaches_are_named(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("half_used")
    vars(module)["HalfUsed"] = HalfUsed
    monkeypatch.setitem(sys.modules, "half_used", module)
    told: list[Event] = []
    student = {"network": "import:half_used:HalfUsed"}
    torch.manual_seed(0)
    try_cohort({"": small(student=student, distill=[], teacher=None)}, tell=told.append)
    said = [event.text for event in told if isinstance(event, Note)]
    (line,) = [text for text in said if "get no gradient" in text]
    assert line == (
        "student: 1 of its tensors get no gradient and stay as they are: network.unread.weight"
    )
