"""Pictures inside the page."""

import base64
from pathlib import Path

from segdistill.drawing.embedded import data_uri


def test_a_picture_is_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"\x89PNG")
    assert data_uri(file) == f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
