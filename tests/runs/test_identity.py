"""``identity.json``: written whole, and nothing in folders of older releases."""

from pathlib import Path

from segdistill.runs.identity import Identity, read_identity, write_identity


def test_what_was_written_is_read(tmp_path: Path) -> None:
    identity = Identity(contents={"teacher.weights": "ab"}, classes=("road",), extended=(6, 12))
    write_identity(tmp_path, identity)
    assert read_identity(tmp_path) == identity


def test_a_folder_of_an_older_release_has_none(tmp_path: Path) -> None:
    assert read_identity(tmp_path) is None
