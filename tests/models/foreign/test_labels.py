"""Class names of a Hugging Face folder, without its network."""

import json
from pathlib import Path

import pytest

from segdistill.models.foreign.labels import folder_classes


def test_names_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    labels = {str(number): f"class {number}" for number in (10, 2, 0)}
    (tmp_path / "config.json").write_text(json.dumps({"id2label": labels}))
    assert folder_classes(f"hf:{tmp_path}") == ("class 0", "class 2", "class 10")


@pytest.mark.parametrize(
    "text", ['{"id2label": {"0": "LABEL_0"}}', "{}", "[]", "{", '{"id2label": 3}']
)
def test_numbers_alone_are_no_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert folder_classes(f"hf:{tmp_path}") == ()


def test_no_folder_has_none(tmp_path: Path) -> None:
    assert folder_classes(f"hf:{tmp_path}/missing") == folder_classes("fcn") == ()
