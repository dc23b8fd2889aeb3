"""ui: models of one set of classes, in any order, on one page."""

from pathlib import Path

import numpy as np
import pytest

from segdistill.api import ui as module
from segdistill.api.load import load
from segdistill.api.ui import common_classes, ui
from segdistill.errors import ConfigError, RunFolderError
from segdistill.types import Classes

pytest.importorskip("starlette")

TWO = Classes(("road", "sky"), ((1, 2, 3), (4, 5, 6)))


def test_models_of_other_classes_are_refused_by_name() -> None:
    turned = Classes(("sky", "road"), ((0, 0, 0), (9, 9, 9)))
    assert common_classes({"a": TWO, "b": turned}) == TWO
    three = Classes(("road", "sky", "car"), ((0, 0, 0),) * 3)
    with pytest.raises(ConfigError, match="a with 2 and b with 3, of which car is in one alone"):
        common_classes({"a": TWO, "b": three})


def test_names_are_as_short_as_they_can_be() -> None:
    assert module._short_names([Path("runs/a"), Path("runs/b")]) == ["a", "b"]
    assert module._short_names([Path("x/a"), Path("y/a")]) == ["x/a", "y/a"]


def test_ids_are_in_the_pages_order(run: Path) -> None:
    student = load(run)
    names, colors = student.classes.names, student.classes.colors
    turned = Classes(names[::-1], colors[::-1])
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    ids = module._segment(student, turned, image)
    assert np.array_equal(ids, len(names) - 1 - student.predict(image).mask)


def test_a_port_that_is_taken_and_no_run_are_told_in_one_line(run: Path) -> None:
    import socket

    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match="expected a free port at"),
    ):
        ui(run, port=taken.getsockname()[1])
    with pytest.raises(RunFolderError, match="expected the folder of a finished run"):
        ui("nowhere")
