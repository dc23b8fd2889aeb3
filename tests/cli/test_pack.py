"""pack: a copy that every command takes in place of the original."""

import json
from pathlib import Path

import pytest

from .conftest import Cli, folder_config


@pytest.mark.parametrize("words", [[], ["--compress"]], ids=["raw", "compressed"])
def test_a_packed_copy_takes_the_originals_place(cli: Cli, folder: Path, words: list[str]) -> None:
    done = cli("pack", "folder", f"root={folder}", "--out", "packed", *words)
    assert done.code == 0
    assert done.out.splitlines()[0] == "packed written, 0 MiB"
    assert "next: segdistill check CONFIG data.dataset=folder data.root=packed" in done.out
    assert "packing val: 2/2" in done.err
    reports = [
        json.loads(cli("check", "tiny.yaml", *folder_config(root), "--data", "--json").out)
        for root in (folder, Path("packed"))
    ]
    assert reports[0] == reports[1]
    assert reports[0]["splits"]["train"]["images"] == 2
    files = {file.name for file in Path("packed").iterdir()}
    assert ("train.tiles.bin" in files) == bool(words)


def test_a_packed_copy_that_was_changed_is_found_by_its_hash(cli: Cli, folder: Path) -> None:
    cli("pack", "folder", f"root={folder}", "--out", "packed")
    file = Path("packed/val.images.bin")
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    for words in ([], ["--data"]):
        done = cli("check", "tiny.yaml", *folder_config(Path("packed")), *words)
        assert done.code == 1
        assert "val.images.bin: expected the packed content, got other bytes" in (
            done.out + done.err
        )


def test_refuses_what_it_cannot_pack(cli: Cli, folder: Path) -> None:
    Path("there").mkdir()
    for words, code, message in (
        (["foldr"], 2, "there is no dataset 'foldr'; did you mean 'folder'?"),
        (["folder"], 2, "expected root for folder, got nothing"),
        (["folder", "roots=x"], 2, "did you mean 'root'?"),
        (["folder", f"root={folder}", "--splits", "train,tets"], 1, "tets"),
        (["folder", f"root={folder}", "--out", "there"], 1, "expected a new folder, got there"),
        (["folder", f"root={folder}", "--out", folder], 2, "expected a folder outside the"),
        (["folder", f"root={folder}", "--out", folder / "p"], 2, "expected a folder outside the"),
        (["scenes"], 2, "expected a dataset with files, got scenes, which has none"),
    ):
        done = cli("pack", *words)
        assert (done.code, done.out) == (code, "")
        assert message in done.err
    assert not Path("packed").exists()
