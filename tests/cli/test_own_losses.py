"""Losses, datasets and analyses of one's own, through the command line: used, or refused."""

import json
import re
from pathlib import Path

import pytest

from segdistill.runs.identity import read_identity
from segdistill.runs.metrics import read_metrics, train_lines

from .conftest import Cli

CODE = '''
from torch import nn
from segdistill.losses import share_of_count


def my_loss(student, teacher, valid, factor=1.0):
    squares = (student.float() - teacher.detach().float()).square().mean(dim=1)
    return factor * squares.masked_fill(~valid, 0).sum() / share_of_count(valid.sum())


class MyLayers(nn.Module):
    """A projection of its own, on features of any width, and what it is beside."""

    def __init__(self, student_channels, teacher_channels, seed, gain=1.0):
        super().__init__()
        self.project = nn.Conv2d(student_channels, teacher_channels, 1)
        self.gain = gain

    def forward(self, student, teacher, labels, beside):
        assert labels.ndim == 3 and len(beside) == 1
        value = (self.project(student) - teacher).square().mean()
        return {"near": self.gain * value, "beside": 0.0 * beside[0][0].sum()}


def squares(split, images=4):
    import numpy as np
    from segdistill.types import Classes, Sample

    class Squares:
        classes = Classes(("ground", "square"), ((0, 0, 0), (255, 255, 255)))

        def __len__(self):
            return images if split == "train" else 2

        def __getitem__(self, index):
            mask = np.zeros((48, 64), np.uint8)
            mask[8 : 30 + index, 16:40] = 1
            image = np.repeat(100 * mask[..., None], 3, axis=2)
            return Sample(image, mask, f"{split}-{index}")

    return Squares()


def measure(looked):
    return {"images": len(looked.opened.inputs)}
'''
OWN = "distill=[{loss: 'import:own_code_of_mine:my_loss', tap: logits, weight: 2.0, factor: 3.0}]"


@pytest.fixture
def own(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return the command line, where ``tiny.yaml`` has one student and own code lies beside."""
    text = Path("tiny.yaml").read_text().partition("cohort:")[0]
    text = text.replace("steps: 4", "steps: 2").replace("log_every: 2", "log_every: 1")
    Path("tiny.yaml").write_text(text)
    Path("own_code_of_mine.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_code_of_mine", raising=False)
    return cli


def parts(run: str) -> dict[str, float]:
    return dict(train_lines(read_metrics(Path(run)))[0].parts)


@pytest.mark.long
def test_a_function_and_a_module_distil_with_their_settings(own: Cli) -> None:
    layers = (
        "{loss: 'import:own_code_of_mine:MyLayers', tap: backbone, weight: 1.0, gain: 0.5, "
        "beside: [head]}"
    )
    one = own("distill", "tiny.yaml", OWN, "--out", "one")
    assert one.code == 0, one.err
    both = own("distill", "tiny.yaml", f"{OWN[:-1]}, {layers}]", "--out", "both")
    assert both.code == 0, both.err
    assert parts("one").keys() == {"task", "my_loss"}
    assert parts("both").keys() == {"task", "my_loss", "MyLayers.near", "MyLayers.beside"}
    half = own("distill", "tiny.yaml", OWN.replace("factor: 3.0", "factor: 1.5"), "--out", "half")
    assert half.code == 0, half.err
    assert parts("half")["my_loss"] == pytest.approx(parts("one")["my_loss"] / 2, rel=1e-3)
    identity = read_identity(Path("one"))
    assert identity is not None
    assert "distill.0.loss" in identity.contents


@pytest.mark.long
def test_it_is_compared_in_a_cohort_whose_report_names_it(own: Cli) -> None:
    Path("tiny.yaml").write_text(
        Path("tiny.yaml").read_text()
        + "cohort:\n  plain: {}\n  mine: {distill: ["
        + "{loss: 'import:own_code_of_mine:my_loss', tap: logits, weight: 2.0}]}\n"
    )
    done = own("distill", "tiny.yaml", "--out", "cohort")
    assert done.code == 0, done.err
    assert "my_loss" in Path("cohort/report.html").read_text()
    # The person named it for the run, not for another's reading of the folder.
    refused = own("analyse", "cohort")
    assert refused.code == 2
    assert "expected a loss of segdistill or of a library" in refused.err
    words = [
        "--trust",
        "import:own_code_of_mine:my_loss",
        "--own",
        "import:own_code_of_mine:measure",
    ]
    analysed = own("analyse", "cohort", *words)
    assert analysed.code == 0, analysed.err
    assert json.loads(Path("cohort/analyses/measure.json").read_text())["images"] == 3


def write_study() -> None:
    run = Path("tiny.yaml").read_text().replace("training:", "training: ").splitlines()
    study = [line for line in run if not line.startswith("evaluation")]
    Path("study.yaml").write_text(
        "\n".join(study)
        + "\nmethods: {mine: [{loss: 'import:own_code_of_mine:my_loss', tap: logits, weight: 2.0}]}"
        + "\nseeds: 2\n"
    )


def test_a_study_takes_it_as_a_method(own: Cli) -> None:
    write_study()
    planned = own("study", "study.yaml", "--out", "study", "--dry-run")
    assert planned.code == 0, planned.err


@pytest.mark.long
def test_a_study_trains_it_and_its_page_compares_it_with_plain(own: Cli) -> None:
    write_study()
    done = own("study", "study.yaml", "--out", "study")
    assert done.code == 0, done.err
    results = json.loads(Path("study/results.json").read_text())
    (pair,) = results["pairs"].values()
    assert set(pair["methods"]) == {"plain", "mine"}
    assert len(pair["methods"]["mine"]["miou"]) == 2
    assert "my_loss" in Path("study/report.html").read_text()


def test_a_dataset_of_ones_own_is_trained_on(own: Cli) -> None:
    data = (
        "data={dataset: 'import:own_code_of_mine:squares', args: {images: 5}, crop: [32, 48], "
        "batch_size: 2}"
    )
    done = own("train", "tiny.yaml", data, "--out", "squares")
    assert done.code == 0, done.err
    assert set(json.loads(Path("squares/result.json").read_text())["iou"]) == {"ground", "square"}
    refused = own("evaluate", "squares")
    assert refused.code == 2
    assert "expected a dataset of segdistill or of a library" in refused.err
    scored = own("evaluate", "squares", "--trust", "import:own_code_of_mine:squares")
    assert scored.code == 0, scored.err


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (
            "{loss: 'import:own_code_of_mine:my_los', tap: logits, weight: 1}",
            "did you mean 'my_loss'",
        ),
        ("{loss: 'import:own_code_of_mine:my_loss', weight: 1}", r"distill\.0\.tap: expected"),
        (
            "{loss: 'import:own_code_of_mine:my_loss', tap: logits, weight: 1, facto: 2}",
            "expected one of its settings, got 'facto'; did you mean 'factor'",
        ),
        ("{loss: 'import:own_code_of_mine', tap: logits, weight: 1}", "got no function"),
    ],
)
def test_what_is_wrong_with_it_is_one_line(own: Cli, term: str, message: str) -> None:
    done = own("distill", "tiny.yaml", f"distill=[{term}]", "--out", "run")
    assert done.code == 2
    assert re.search(message, done.err)
    assert len(done.err.strip().splitlines()[-1]) > 0


def test_a_batch_in_parts_is_refused(own: Cli) -> None:
    done = own("distill", "tiny.yaml", OWN, "training.accumulate=2")
    assert done.code == 2
    assert "may compare all images of the batch at once" in done.err


def test_check_loss_tries_a_file(own: Cli) -> None:
    done = own("check", "loss", "own_code_of_mine.py:my_loss", "factor=2.0")
    assert done.code == 0, done.out
    assert 'next: a config with - {loss: "import:own_code_of_mine:my_loss"' in done.out
    wrong = own("check", "loss", "adaptive_cross_entropy")
    assert wrong.code == 0
    assert "left out: a cross-entropy, not a divergence" in wrong.out
    assert own("check", "loss").code == 2
    assert own("check", "tiny.yaml", "--waive", "x").code == 2
