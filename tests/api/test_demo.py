"""The demo: a teacher, three students and what their difference is worth; goes on where it was."""

from pathlib import Path

import pytest

from segdistill.api.demo import demo
from segdistill.errors import RunFolderError
from segdistill.runs.result import read_result
from segdistill.training.events import Event, Note

pytestmark = pytest.mark.long  # whole runs

SMALL = [
    "data.size=[48, 64]",
    "data.crop=[32, 48]",
    "data.train_images=8",
    "data.val_images=4",
    "training.steps=2",
    "training.evaluate_every=2",
    "training.precision=32-true",
]


def test_the_demo_makes_a_teacher_three_students_and_a_page(tmp_path: Path) -> None:
    shown = demo(tmp_path, overrides=SMALL)
    assert [run.name for run in shown.runs] == ["teacher", "plain", "kl", "lad+kl"]
    methods = [read_result(run).method for run in shown.runs]
    assert methods == ["plain", "plain", "pixelwise_kl", "layer_angular+pixelwise_kl"]
    page = (tmp_path / "report.html").read_text()
    assert len(shown.notes) == 2
    for name, note in zip(("kl", "lad+kl"), shown.notes, strict=True):
        assert note.startswith(f"{name} against plain: ")
        assert "when the 4 images are resampled" in note
        assert "several paired seeds are needed" in note
    assert "segdistill demo: drawn scenes" in page

    said: list[Event] = []
    again = demo(tmp_path, overrides=SMALL, tell=said.append)
    assert again == shown
    finished = [event.text for event in said if isinstance(event, Note)]
    assert finished == [
        f"{tmp_path / 'teacher'}: this run is finished; nothing to do",
        f"{tmp_path}: this run is finished; nothing to do",
    ]


def test_the_demo_leaves_a_folder_of_other_files_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_text("a photo")
    with pytest.raises(RunFolderError, match=r"got one with cat\.jpg"):
        demo(tmp_path, overrides=SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["cat.jpg"]
