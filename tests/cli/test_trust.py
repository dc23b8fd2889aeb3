"""A stranger's files never run code: every command that reads one refuses what it names."""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from segdistill.api.distill import distill
from segdistill.api.evaluate import evaluate
from segdistill.api.predict import predict
from segdistill.api.taps import taps
from segdistill.runs.layout import COST
from segdistill.runs.replay import KeptStep, write_step

from .conftest import Cli, Trained

TARGET = "import:evil_nets:build"
EVIL = """
from pathlib import Path
Path("ran").touch()
def build(**args):
    Path("built").touch()
"""
OWN = """
from pathlib import Path
from torch import nn
Path("ran").touch()
def build(width=4, classes=11):
    return nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, classes, 1))
"""


@pytest.fixture
def strangers(cli: Cli, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return the command line beside a run folder and weights that name code to be run."""
    (tmp_path / "evil_nets.py").write_text(EVIL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "evil_nets", raising=False)
    run = Path("cohort/evil")
    run.mkdir(parents=True)
    for name in ("result.json", "environment.json", "metrics.jsonl", "confusion.json"):
        (run / name).write_bytes((trained.run / name).read_bytes())
    tree = yaml.safe_load((trained.run / "resolved.yaml").read_text())
    # It vouches for itself too, which a file cannot.
    tree |= {"student": {"network": TARGET}, "teacher": {"network": TARGET}, "trust": [TARGET]}
    (run / "resolved.yaml").write_text(yaml.safe_dump(tree))
    forge(trained.run / "model.safetensors", run / "model.safetensors", {"network": TARGET})
    write_step(run, KeptStep(0, {"network": TARGET}, {}, {}, {}))
    shutil.copytree(run, "studied/final/pair/seed-0/evil")
    Path("photos").mkdir()
    return cli


def forge(source: Path, file: Path, network: object) -> None:
    """Copy weights with another network in the metadata."""
    with safe_open(source, framework="pt") as opened:
        config = json.loads(opened.metadata()["config"])
    config |= {"network": network, "trust": [TARGET]}
    save_file(load_file(source), file, metadata={"config": json.dumps(config)})


def picture() -> None:
    from PIL import Image

    Image.new("RGB", (64, 48)).save("photos/a.png")


RUN = "cohort/evil"
WEIGHTS = "cohort/evil/model.safetensors"
TEACHER = f"teacher={{weights: {WEIGHTS}}}"
COMMANDS = [
    ["predict", WEIGHTS, "photos"],
    ["predict", RUN, "photos"],
    ["predict", RUN, "--split", "val"],
    ["evaluate", RUN],
    ["evaluate", WEIGHTS],
    ["export", RUN],
    ["export", WEIGHTS],
    ["bench", "latency", RUN, "--size", "32x32"],
    ["bench", "latency", WEIGHTS, "--size", "32x32"],
    ["bench", "latency", "tiny.yaml", TEACHER, "--size", "32x32"],
    ["bench", "cost", "tiny.yaml", TEACHER, "--size", "32x32"],
    ["check", "tiny.yaml", TEACHER],
    ["check", "tiny.yaml", TEACHER, "--data"],
    ["list", "taps", "tiny.yaml", TEACHER],
    ["distill", "tiny.yaml", TEACHER],
    ["train", "tiny.yaml", TEACHER],
    ["replay", RUN],
    ["analyse", RUN],
    ["analyse", "cohort"],
    ["analyse", "studied"],
    ["study", "study.yaml", "--out", "study"],
    ["search", "search.yaml", "--out", "search"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_strangers_file_runs_nothing(words: list[str], strangers: Cli) -> None:
    picture()
    tiny = yaml.safe_load(Path("tiny.yaml").read_text())
    study = {key: tiny[key] for key in ("data", "student", "training")}
    study |= {"teacher": {"weights": WEIGHTS}, "methods": {"kl": [{"loss": "pixelwise_kl"}]}}
    Path("study.yaml").write_text(yaml.safe_dump(study))
    search = {key: study[key] for key in ("data", "teacher", "training")}
    search |= {"students": {"fast_scnn": {}}}
    Path("search.yaml").write_text(yaml.safe_dump(search))
    before = sorted(Path().rglob("*"))
    done = strangers(*words)
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert TARGET in line
    assert f"--trust {TARGET}" in line
    assert "evil" in line.replace(TARGET, "")
    assert not Path("ran").exists()
    assert "evil_nets" not in sys.modules
    made = [path for path in Path().rglob("*") if path not in before and path.is_file()]
    assert made == []


def test_a_run_that_is_completed_after_a_resume_is_a_file_as_any_other(strangers: Cli) -> None:
    from segdistill.api.complete import complete
    from segdistill.errors import ConfigError

    Path(RUN, COST).unlink(missing_ok=True)
    with pytest.raises(ConfigError, match=f"--trust {TARGET}"):
        complete([Path(RUN)])
    assert not Path("ran").exists()


def test_a_report_reads_files_alone(strangers: Cli) -> None:
    assert strangers("report", RUN).code == 0
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"network": "fcnn"}, "there is no network 'fcnn'; did you mean 'fcn'"),
        ({"network": "espnet_c", "run": "rm"}, "unknown key .*run"),
        ({"network": "fcn", "backbone": ["x"], "output_stride": 16}, "backbone: expected a string"),
        ({"network": "import:os:system", "args": {"command": "touch ran"}}, "got import:os:system"),
        ({"network": "file:evil.pt"}, "got file:evil.pt"),
        ({"network": "espnet_c", "width": 10**20}, "integers of at most 63 bits"),
        (["import:os:system"], "expected a valid dictionary at 'network'"),
    ],
)
def test_what_metadata_say_is_checked_in_one_line(
    network: object, message: str, trained: Trained, cli: Cli
) -> None:
    forge(trained.run / "model.safetensors", Path("forged.safetensors"), network)
    for words in (
        ["bench", "latency", "forged.safetensors"],
        ["check", "tiny.yaml", "teacher={weights: forged.safetensors}"],
    ):
        done = cli(*words)
        (line,) = done.err.splitlines()
        assert done.code == 2
        assert "forged.safetensors" in line
        assert re.search(message, line)
    assert not Path("ran").exists()


@pytest.mark.long
def test_own_code_is_named_once_and_trusted_by_name_after(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_nets", raising=False)
    student = "student={network: 'import:my_nets:build'}"
    trust = ["--trust", "import:my_nets:build"]
    done = cli("train", "tiny.yaml", student, "training.steps=2", "--out", "own")
    assert done.code == 0, done.err
    assert "evaluate own --trust import:my_nets:build" in done.out
    assert cli("train", "tiny.yaml", student, "training.steps=2", "--out", "own", "--resume")
    assert cli("evaluate", "own").code == 2
    scored = cli("evaluate", "own", *trust)
    assert scored.code == 0, scored.err
    teacher = "teacher={weights: own/model.safetensors}"
    few = ["training.steps=2", "--out"]
    assert cli("distill", "tiny.yaml", teacher, *few, "a").code == 2
    done = cli("distill", "tiny.yaml", teacher, *few, "a", *trust)
    assert done.code == 0, done.err
    # The config's own words count for every file that it names.
    done = cli("distill", "tiny.yaml", teacher, student, *few, "b")
    assert done.code == 0, done.err
    done = cli("distill", "tiny.yaml", teacher, "trust=['import:my_nets:build']", *few, "c")
    assert done.code == 0, done.err
    assert "trust" not in yaml.safe_load(Path("c/kl/resolved.yaml").read_text())
    done = cli("analyse", "b", *trust)
    assert done.code == 0, done.err
    result = evaluate("own", trust=("import:my_nets:build",))
    assert result.images == 3
    words = ["teacher={weights: own/model.safetensors}"]
    assert "teacher" in taps("tiny.yaml", overrides=words, trust=("import:my_nets:build",))


@pytest.mark.long
def test_a_program_is_trusted_in_so_many_words(cli: Cli) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 11, 3, 2, 1)).eval()
    torch.jit.script(network).save("t.pt")
    words = ["distill", "tiny.yaml", "teacher={network: 'file:t.pt'}", "training.steps=2"]
    done = cli(*words, "--out", "a")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert "can write files when it is loaded" in line
    assert "--trust file:t.pt" in line
    assert not Path("a").exists()
    assert cli(*words, "--out", "a", "--trust", "file:t.pt").code == 0
    assert cli(*words, "--out", "b", "trust=['file:t.pt']").code == 0


def test_trust_is_given_to_code_alone(cli: Cli) -> None:
    done = cli("check", "tiny.yaml", "--trust", "t.pt")
    assert done.code == 2
    assert "trust: expected import:package.module:function or file:PATH, got 't.pt'" in done.err


def test_python_refuses_as_the_command_line_does(strangers: Cli) -> None:
    from segdistill.errors import ConfigError

    picture()
    with pytest.raises(ConfigError, match="--trust"):
        predict(RUN, [Path("photos")], Path("out"))
    with pytest.raises(ConfigError, match="--trust"):
        distill("tiny.yaml", Path("out"), overrides=[TEACHER])
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "/tmp/x", "..", "", ".hidden", "a b"])
def test_a_learners_name_is_a_folders_name(name: str, cli: Cli) -> None:
    tree = yaml.safe_load(Path("tiny.yaml").read_text()) | {"cohort": {name: {}}}
    Path("tiny.yaml").write_text(yaml.safe_dump(tree))
    done = cli("distill", "tiny.yaml", "distill=[{loss: pixelwise_kl}]", "--out", "deep/run")
    assert done.code == 2
    assert "expected a name of letters, digits and . + - _ only" in done.err
    assert not Path("deep").exists()


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/segdistill-escaped", "link/escaped"])
def test_names_in_a_pack_stay_below_the_folder_that_was_chosen(
    name: str, cli: Cli, folder: Path, tmp_path: Path
) -> None:
    done = cli("pack", "folder", f"root={folder}", "--out", "pack")
    assert done.code == 0, done.err
    names = f"{name}\n{name}2"
    Path("pack/val.names.txt").write_text(names)
    manifest = json.loads(Path("pack/segdistill-pack.json").read_text())
    digest = hashlib.blake2b(names.encode(), digest_size=16).hexdigest()
    packed = {"bytes": len(names), "blake2b": digest}
    manifest["splits"]["val"]["files"]["val.names.txt"] = packed
    Path("pack/segdistill-pack.json").write_text(json.dumps(manifest))
    words = ["data={dataset: folder, root: pack, crop: [32, 48], batch_size: 2}"]
    words += ["distill=[]", "training.steps=1"]
    single = yaml.safe_load(Path("tiny.yaml").read_text())
    del single["cohort"]
    Path("tiny.yaml").write_text(yaml.safe_dump(single))
    Path("deep/out").mkdir(parents=True)
    Path("deep/out/link").symlink_to(tmp_path)
    done = cli("train", "tiny.yaml", *words, "evaluation.pictures=0", "--out", "deep/run")
    if name.startswith("link"):
        done = cli("predict", "deep/run", "--split", "val", "--out", "deep/out")
    else:
        assert not Path("deep/run").exists()
    assert done.code == 1
    assert re.search(r"names without \.\. and root|a name that stays below this folder", done.err)
    assert not [*tmp_path.rglob("*escaped*"), *Path("/tmp").glob("segdistill-escaped*")]


def test_a_forged_manifest_names_no_file_outside_its_pack(cli: Cli, folder: Path) -> None:
    assert cli("pack", "folder", f"root={folder}", "--out", "pack").code == 0
    file = Path("pack/segdistill-pack.json")
    manifest = json.loads(file.read_text())
    files = manifest["splits"]["val"]["files"]
    files["../tiny.yaml"] = files["val.names.txt"]
    file.write_text(json.dumps(manifest))
    words = ["data={dataset: folder, root: pack, crop: [32, 48], batch_size: 2}"]
    done = cli("check", "tiny.yaml", *words, "distill=[{loss: pixelwise_kl}]")
    assert done.code == 1
    assert "expected a name that stays below this folder, got '../tiny.yaml'" in done.err


def test_timm_is_not_told_to_unpickle_a_file(cli: Cli) -> None:
    args = "{encoder_name: tu-resnet10t, checkpoint_path: evil.pth}"
    done = cli("list", "taps", "tiny.yaml", f"student={{network: 'smp:unet', args: {args}}}")
    assert done.code == 2
    assert "args without checkpoint_path, with which timm reads a file" in done.err
