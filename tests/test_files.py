"""Files are there whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from segdistill.errors import DataError, OverwriteError
from segdistill.files import (
    LEDGER,
    check_ends,
    claim,
    claim_tree,
    expand_path,
    inside,
    open_to_append,
    read_json,
    refuse_shared_names,
    sweep,
    temporary_folder,
    write_json,
    write_whole,
)


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_whole(file, "old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.txt"
    write_whole(file, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_json_comes_back_and_nan_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, None]})
    assert read_json(tmp_path / "a.json") == {"b": [1, None]}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))


def test_a_command_may_write_again_what_it_wrote(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    claim("report", [file])
    for text in ("old", "new"):
        write_whole(file, text, made_by="report")
        claim("report", [file])
    with pytest.raises(
        OverwriteError, match="export: expected a new file, or an unchanged one written by export"
    ):
        claim("export", [file])


def test_a_foreign_or_changed_file_is_refused_and_named(tmp_path: Path) -> None:
    foreign, own = tmp_path / "foreign.png", tmp_path / "own.png"
    foreign.write_text("a photo")
    write_whole(own, "a prediction", made_by="predict")
    own.write_text("a prediction that was corrected by hand")
    with pytest.raises(OverwriteError, match=r"got 2 others(.|\n)*foreign.png\n.*own.png"):
        claim("predict", [foreign, own, tmp_path / "new.png"])


def test_what_is_read_is_refused_under_every_name(tmp_path: Path) -> None:
    read, link, hard = (tmp_path / name for name in ("read.png", "link.png", "hard.png"))
    for file in (read, hard):
        write_whole(file, "a photo", made_by="predict")
    claim("predict", [read])
    hard.unlink()
    os.link(read, hard)
    link.symlink_to(read)
    for file in (read, link, hard):
        with pytest.raises(OverwriteError, match=file.name):
            claim("predict", [file], reads=[read])


def test_a_link_to_nothing_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(OverwriteError, match=name):
            claim("predict", [tmp_path / name])


@pytest.mark.parametrize(
    ("first", "second"), [("a.png", "a.png"), ("A.png", "a.png"), ("\u00e9.png", "e\u0301.png")]
)
def test_names_that_some_file_system_takes_for_one_are_refused(first: str, second: str) -> None:
    refuse_shared_names("predict", [Path("x", "a.png"), Path("y", "a.png")], ["x/a", "y/a"])
    with pytest.raises(DataError, match=r"day/a\.jpg and night/a\.jpg"):
        refuse_shared_names("predict", [Path(first), Path(second)], ["day/a.jpg", "night/a.jpg"])


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "..", ".", "", "link/x"])
def test_a_name_that_leads_out_of_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="expected a name that stays below this folder"):
        inside(folder, name)


def test_a_link_that_leads_out_is_told_from_a_name_that_does(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "logs").symlink_to(tmp_path)
    with pytest.raises(ValueError, match=rf"got 'logs', by a link to {tmp_path}; remove the link"):
        inside(tmp_path / "out", "logs")
    with pytest.raises(ValueError, match=r"got 'a/\.\./\.\./x'; rename it"):
        inside(tmp_path / "out", "a/../../x")


@pytest.mark.parametrize("target", ["victim", "not there"])
def test_nothing_is_added_through_a_link(target: str, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine, without an end of line")
    out = tmp_path / "out"
    out.mkdir()
    (out / LEDGER).symlink_to(tmp_path / target)
    said = rf"{LEDGER}: expected a file of its own, got a link to {tmp_path}/{target}; remove"
    for attempt in (
        lambda: open_to_append(out / LEDGER),
        lambda: claim("predict", [out / "a.png"]),
        lambda: write_whole(out / "a.png", "a", made_by="predict"),
    ):
        with pytest.raises(OverwriteError, match=said):
            attempt()
    assert os.listdir(out) == [LEDGER]
    assert sorted(os.listdir(tmp_path)) == ["out", "victim"]
    assert (tmp_path / "victim").read_text() == "mine, without an end of line"


def test_a_link_that_is_put_in_between_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "victim")
    monkeypatch.setattr("segdistill.files.refuse_link", lambda file: None)
    with pytest.raises(OSError, match="symbolic link"):
        open_to_append(tmp_path / "log")
    assert not (tmp_path / "victim").exists()


def test_no_link_in_place_of_a_temporary_file_is_followed(tmp_path: Path) -> None:
    temporary = tmp_path / f".a.txt.{os.getpid()}.tmp"
    temporary.symlink_to(tmp_path / "victim")
    write_whole(tmp_path / "a.txt", "whole")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_temporary_folders_go_with_their_block_or_are_swept(tmp_path: Path) -> None:
    with temporary_folder(tmp_path / "a.onnx") as folder:
        (folder / "float.onnx").write_text("half")
        sweep(tmp_path)
        assert (folder / "float.onnx").exists()
    assert not os.listdir(tmp_path)
    gone = f"{2**22 + 1}.tmp"
    left = folder.with_name(folder.name.replace(f"{os.getpid()}.tmp", gone))
    assert left != folder
    (left / "deeper").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a").touch()
    (tmp_path / f".link.{gone}").symlink_to(tmp_path / "own")
    (tmp_path / f".dangling.{gone}").symlink_to(tmp_path / "nowhere")
    (tmp_path / ".a.1.tmp").mkdir()  # of a process that runs
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".a.1.tmp", "own"]
    assert os.listdir(tmp_path / "own") == ["a"]


def test_names_with_folders_and_a_chosen_link_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    assert inside(tmp_path / "out", "aachen/a_1.png") == tmp_path / "out" / "aachen" / "a_1.png"
    assert inside(tmp_path / "new", "a..b") == tmp_path / "new" / "a..b"


def test_home_and_variables_of_a_path_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/data")
    monkeypatch.chdir(tmp_path)
    assert expand_path("~/a") == Path("/home/me/a")
    assert expand_path("$DATA/${DATA}/b") == Path("/data/data/b")
    assert expand_path("plain/c") == Path("plain/c")
    (tmp_path / "$NONE").mkdir()
    assert expand_path("$NONE") == Path("$NONE")
    for path in ("$NONE/a", "${NONE}/a", "~nobody-of-that-name/a"):
        with pytest.raises(ValueError, match="is not set; set it, or write the path out"):
            expand_path(path)


def test_what_a_killed_command_had_half_written_is_nobodys_file(tmp_path: Path) -> None:
    gone = 2**22 + 1  # above the highest number that Linux gives
    half = tmp_path / f".a.png.{gone}.tmp"
    half.write_text("ha")
    claim("convert", [half, tmp_path / "a.png"])
    assert not half.exists()


def test_a_folders_own_files_are_those_that_are_left_after_sweeping(tmp_path: Path) -> None:
    write_whole(tmp_path / "masks" / "a.png", "a", made_by="convert")
    half = [tmp_path / folder / f".b.png.{2**22 + 1}.tmp" for folder in ("", "masks", "images")]
    for file in half:
        file.parent.mkdir(exist_ok=True)
        file.write_text("ha")
    assert claim_tree("convert", tmp_path) == [tmp_path / "masks" / "a.png"]
    assert not any(file.exists() for file in half)
    (tmp_path / "images" / "own.png").write_text("mine")
    with pytest.raises(OverwriteError, match=r"images/own\.png"):
        claim_tree("convert", tmp_path)
    assert claim_tree("convert", tmp_path / "none") == []


def test_a_folder_is_made_for_a_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "out" / "pages" / "a.txt", "new")
    assert (tmp_path / "out" / "pages" / "a.txt").read_text() == "new"


@pytest.mark.parametrize(
    "broken", ['{"file": "a', "[]\n", "\0\n", '{"file": 1, "made_by": "pack"}\n']
)
def test_a_broken_line_of_the_ledger_vouches_for_nothing_and_spoils_no_other(
    broken: str, tmp_path: Path
) -> None:
    (tmp_path / LEDGER).write_text(broken)
    write_whole(tmp_path / "a.txt", "ours", made_by="pack")
    claim("pack", [tmp_path / "a.txt"])
    (tmp_path / LEDGER).write_text(broken)
    with pytest.raises(OverwriteError, match=r"a\.txt"):
        claim("pack", [tmp_path / "a.txt"])


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    for fine in ("a.txt", "missing.txt", "."):
        check_ends(tmp_path / fine)
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(OSError, match=r"a pipe, socket or device, not a file: .*pipe\.txt"):
        check_ends(tmp_path / "pipe.txt")


def test_a_link_in_a_circle_is_a_file_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")
    assert inside(tmp_path, "one") == tmp_path / "one"
    write_whole(tmp_path / "one", b"whole")
    assert (tmp_path / "one").read_bytes() == b"whole"
