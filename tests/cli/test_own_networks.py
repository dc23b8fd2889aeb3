"""Networks of others through the command line: they teach, or are refused in one line."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from segdistill.runs.metrics import read_metrics, train_lines
from segdistill.runs.result import has_result

from .conftest import Cli

CODE = """
import torch
from torch import nn

class Teacher(nn.Module):
    '''Logits of eleven classes, in order or reversed, at stride 4, and a vector inside.'''

    def __init__(self, reverse=False, normalise=False, classes=11):
        super().__init__()
        torch.manual_seed(3)
        self.normalise = normalise
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 4, 4), nn.ReLU())
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Conv2d(24, classes, 1)
        if reverse:
            for each in self.classifier.parameters():
                each.data = each.data.flip(0)

    def forward(self, images):
        if self.normalise:
            images = (images - 0.5) / 0.25
        maps = self.stem(images)
        gate = self.pool(maps)[:, :, None, None].sigmoid()
        return {"scores": self.classifier(maps * gate), "gate": gate}
"""
TERMS = "distill=[{loss: pixelwise_kl}, {loss: layer_angular, tap: backbone}]"
KL = "distill=[{loss: pixelwise_kl}]"
SWIN = (
    "{network: 'smp:upernet', untrained: true, args: {"
    "encoder_name: tu-swin_tiny_patch4_window7_224, embed_dim: 24, depths: [1, 1, 2, 1], "
    "decoder_channels: 16}}"
)
MIT = "{network: 'smp:segformer', untrained: true, args: {encoder_name: mit_b0}}"


@pytest.fixture
def single(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return the command line, where ``tiny.yaml`` has one student and files lie about."""
    text = Path("tiny.yaml").read_text().partition("cohort:")[0]
    Path("tiny.yaml").write_text(text)
    Path("own_nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_nets", raising=False)
    return cli


def losses(run: str) -> list[dict[str, float]]:
    return [dict(line.parts) for line in train_lines(read_metrics(Path(run)))]


def program(name: str) -> str:
    """Save a small network as a program, by the suffix of the name."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 11, 1)).eval()
    if name.endswith(".pt2"):
        dynamic = torch.export.Dim.DYNAMIC
        exported = torch.export.export(
            network,
            (torch.rand(2, 3, 32, 48),),
            dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},),
        )
        torch.export.save(exported, name)
    else:
        torch.jit.script(network).save(name)
    return f"{{network: 'file:{name}'}}"


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_and_an_exported_teacher_teach_the_same(single: Cli) -> None:
    for name in ("t.pt", "t.pt2"):
        done = single(
            "distill",
            "tiny.yaml",
            KL,
            f"teacher={program(name)}",
            f"--trust=file:{name}",
            f"--out=run-{name}",
        )
        assert done.code == 0, done.err
    first, second = losses("run-t.pt"), losses("run-t.pt2")
    assert first[0]["pixelwise_kl"] > 0
    assert first == [pytest.approx(each, rel=1e-4) for each in second]


@pytest.mark.long
@pytest.mark.parametrize(("teacher", "channels"), [(SWIN, 192), (MIT, 256)], ids=["swin", "mit"])
def test_a_transformer_teaches_at_a_crop_that_32_does_not_divide(
    teacher: str, channels: int, single: Cli
) -> None:
    words = [f"teacher={teacher}", TERMS, "data.crop=[40, 56]", "training.steps=2"]
    done = single("distill", "tiny.yaml", *words, "--out", "run")
    assert done.code == 0, done.err
    assert (
        f"layer_angular gets a conv_bn_relu projector from 112 to {channels} channels" in done.err
    )
    assert all(part["layer_angular"] > 0 for part in losses("run"))
    listed = json.loads(single("list", "taps", "tiny.yaml", *words, "--json").out)["teacher"]
    assert listed["backbone"] == {"channels": channels, "stride": 32, "size": [2, 2]}
    assert listed["network.encoder"] == listed["backbone"]


@pytest.mark.long
def test_class_order_and_normalisation_of_a_teacher_leave_no_trace(single: Cli) -> None:
    plain = "teacher={network: 'import:own_nets:Teacher', output: scores, taps: {backbone: stem}, "
    other = "args: {reverse: true}, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]"
    order = f", class_map: {list(range(10, -1, -1))}"
    teachers = {
        "same": plain + "args: {normalise: true}}",
        "mapped": plain + other + order + "}",
        "unmapped": plain + other + "}",
    }
    for name, teacher in teachers.items():
        words = [TERMS, teacher, "training.steps=2", "training.log_every=1"]
        done = single("distill", "tiny.yaml", *words, "--out", name)
        assert done.code == 0, done.err
    # Rounding alone differs, which later steps of so small a student blow up.
    assert losses("mapped") == [pytest.approx(each, rel=1e-4) for each in losses("same")]
    assert losses("unmapped")[0]["pixelwise_kl"] != pytest.approx(
        losses("same")[0]["pixelwise_kl"], rel=1e-3
    )


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (Path("exploded"),))


OWN = "teacher={network: 'import:own_nets:Teacher', output: scores"
REFUSALS = [
    (["student.backbone=resnet1"], 1, "student: Backbone: .*did you mean 'resnet18'"),
    (["student.output_stride=7"], 2, r"student\.output_stride: expected 4, 8, 16 or 32, got 7"),
    (
        [
            "teacher={network: fcn, untrained: true, backbone: swin_tiny_patch4_window7_224, "
            "output_stride: 8}"
        ],
        1,
        "last map of stride 8, got one of stride 32.*set output_stride=32 or choose",
    ),
    (
        [OWN + ", taps: {x: pool}}", "distill=[{loss: attention, tap: x}]"],
        1,
        r"teacher: tap 'x': .*returns a map \(N, C, h, w\), got a tensor of shape.*list taps",
    ),
    ([OWN + ", taps: {x: stam}}"], 1, "got 'stam'; did you mean 'stem'.*list taps"),
    (
        [OWN + ", args: {classes: 7}}"],
        1,
        "logits of 11 classes, got 7 from Teacher; give.*class_map",
    ),
    ([OWN + ", args: {clases: 7}}"], 2, "args that Teacher takes, got clases: .*; set args"),
    (
        ["teacher.untrained=false", "teacher.weights=seven.safetensors"],
        1,
        r"classifier.weight \(7, 16, 1, 1\) where",
    ),
    (
        ["teacher.untrained=false", "teacher.weights=text.pth"],
        1,
        "text.pth: expected a file of tensors, got one that is broken.*save",
    ),
    (
        ["teacher.untrained=false", "teacher.weights=text.safetensors"],
        1,
        "expected a safetensors file.*copy or save it",
    ),
    (
        ["teacher.untrained=false", "teacher.weights=code.pth"],
        1,
        "holds code, which is never run .*save",
    ),
    (
        ["teacher={network: 'file:code.pt'}", "--trust=file:code.pt"],
        1,
        "a pickled nn.Module is never loaded: save it",
    ),
    (
        ["teacher={network: 'file:text.pt2'}", "--trust", "file:text.pt2"],
        1,
        "torch.export file .*never loaded: save it",
    ),
    (
        ["teacher={network: 'smp:unet', untrained: true, args: {encoder_name: resnet1}}"],
        2,
        "mean 'resnet18'",
    ),
    (
        ["student={network: pspnet, backbone: resnet10t, output_stride: 16}"],
        1,
        r"at least 81 pixels per side.*got \(32, 48\); use a larger crop or a smaller",
    ),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("words", "code", "message"), REFUSALS)
def test_what_cannot_work_is_refused_in_one_line(
    words: list[str], code: int, message: str, single: Cli
) -> None:
    import re

    from segdistill.models import build_network, save_network

    seven = {"network": "fcn", "backbone": "resnet10t", "output_stride": 16, "width": 16}
    save_network("seven.safetensors", build_network(seven, classes=7), {})
    for name in ("text.pth", "text.safetensors", "text.pt2"):
        Path(name).write_text("hello, I am no network")
    for name in ("code.pth", "code.pt"):
        torch.save({"weight": Bomb()}, name)
    terms = [] if any(word.startswith("distill=") for word in words) else [KL]
    done = single("distill", "tiny.yaml", *words, *terms, "--out", "run")
    assert (done.code, done.out) == (code, "")
    (refusal,) = [line for line in done.err.splitlines() if line.startswith("segdistill: ")]
    assert re.search(message, refusal)
    assert "Traceback" not in done.err
    assert not Path("exploded").exists()
    assert not has_result(Path("run"))
