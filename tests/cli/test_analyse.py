"""analyse: the files of a cohort on stdout, mistakes before torch is loaded."""

import json
from pathlib import Path

import pytest

from .conftest import Cli, Trained


@pytest.mark.long
def test_lists_the_files_and_says_what_next(trained: Trained, cli: Cli, tmp_path: Path) -> None:
    done = cli("analyse", trained.folder, "--out", "looked")
    assert done.code == 0
    lines = done.out.splitlines()
    names = ["entropy", "embedding", "affinity", "activation", "images"]
    assert lines[:-1] == [f"looked/analyses/{name}.json" for name in names]
    assert lines[-1] == f"next: segdistill report {trained.folder}"
    assert "looking into networks: 3/3" in done.err
    assert cli("analyse", trained.folder, "--out", "looked").code == 0


def test_never_writes_among_files_it_did_not_make(
    trained: Trained, cli: Cli, tmp_path: Path
) -> None:
    own = tmp_path / "looked" / "analyses" / "images.json"
    own.parent.mkdir(parents=True)
    own.write_text("notes")
    done = cli("analyse", trained.folder, "--out", "looked")
    assert (done.code, done.out) == (2, "")
    assert f"got {own.relative_to(tmp_path)}; choose another place" in done.err
    assert own.read_text() == "notes"


def test_takes_runs_and_settings_and_prints_json(trained: Trained, cli: Cli) -> None:
    runs = [trained.folder / "plain", trained.folder / "kl"]
    layers = ["--layer", "head", "--layer", "nowhere"]
    done = cli("analyse", *runs, "data.val_images=2", "--out", "looked", "--json", *layers)
    files = [Path(file) for file in json.loads(done.out)]
    assert [file.stem for file in files] == [
        "entropy",
        "embedding",
        "affinity",
        "activation",
        "images",
    ]
    assert json.loads(files[0].read_text())["images_of_split"] == 2
    activation = json.loads(files[3].read_text())
    assert activation["settings"]["layers"] == ["head", "nowhere"]
    assert [list(image["layers"]) for image in activation["images"]] == [["head"]] * 2
    assert "no layer 'nowhere' in plain, kl" in " ".join(done.err.split())


def test_refuses_what_it_cannot_look_at(trained: Trained, cli: Cli, tmp_path: Path) -> None:
    for words, code, message in (
        ([tmp_path], 2, "expected a finished run, got none"),
        (["data.val_images=2"], 2, "expected a study, a cohort or a run folder, got none"),
        ([trained.folder, "data.val_imges=2"], 2, "did you mean 'val_images'?"),
    ):
        done = cli("analyse", *words)
        assert (done.code, done.out) == (code, "")
        assert message in done.err


def test_help_has_an_example(cli: Cli) -> None:
    assert "Example: segdistill analyse runs/camvid-students-1" in " ".join(
        cli("analyse", "--help").out.split()
    )
