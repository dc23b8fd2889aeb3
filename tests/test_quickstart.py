"""The quickstart's six commands, word for word, on a few small photos of two clear classes."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from segdistill.cli import build_app

QUICKSTART = Path(__file__).parents[1] / "docs" / "quickstart.md"

TOY = ["training.steps=30", "training.warmup_steps=0", "training.device=cpu", "data.crop=[32, 64]"]
SMALLER = {
    "train": [*TOY, "training.steps=15"],
    "distill": [*TOY, "student.width=16"],
    "export": ["--size", "32x64", "--calibration", "4", "--force"],
}
"""What makes each command small; ``--force`` since a student of 30 steps may round badly."""


def commands() -> list[list[str]]:
    text = QUICKSTART.read_text(encoding="utf-8")
    block = re.search(r"Six commands:\n\n```\n(.*?)```", text, flags=re.DOTALL)
    assert block is not None
    return [shlex.split(line) for line in block[1].splitlines()]


def put_photos(root: Path) -> None:
    """Write photos: a dark ground below a bright sky, the horizon anywhere."""
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 2)):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for number in range(count):
            mask = np.zeros((48, 64), np.uint8)
            mask[: random.integers(12, 36)] = 1
            photo = np.where(mask[..., None] == 1, (120, 180, 240), (60, 50, 40))
            photo = photo + random.integers(-15, 15, photo.shape)
            Image.fromarray(photo.astype(np.uint8)).save(root / split / f"images/{number}.png")
            Image.fromarray(mask).save(root / split / f"masks/{number}.png")
    (root / "classes.txt").write_text("ground\nsky\n")


@pytest.mark.long
def test_six_commands_lead_from_photos_to_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    put_photos(Path("photos"))
    typed = commands()
    assert [words[1] for words in typed] == [
        "init", "check", "train", "distill", "export", "predict",
    ]  # fmt: skip
    for words in typed:
        assert words[0] == "segdistill"
        done = CliRunner().invoke(build_app(), [*words[1:], *SMALLER.get(words[1], [])])
        assert done.exit_code == 0, f"{shlex.join(words)}: {done.output}{done.exception}"
    assert Path("runs/student/student.int8.onnx").is_file()
    for number in range(2):
        with Image.open(f"masks/{number}.png") as mask:
            assert mask.size == (64, 48)
