"""Networks of others: real objects of each library, at toy size."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from segdistill.errors import ConfigError
from segdistill.models import FrozenTeacher, build_network, save_network
from segdistill.models.taps import TapShape, describe, list_taps, record

IMAGES = torch.rand(1, 3, 50, 70, generator=torch.Generator().manual_seed(0))

CODE = """
from torch import nn

def build(width=4, classes=5):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, classes, 1))

def number():
    return 3
"""


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "toy_networks.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return "import:toy_networks:build"


def test_own_code_is_imported_and_called_with_args(own_code: str) -> None:
    settings = {"network": own_code, "args": {"width": 6}, "taps": {"backbone": "0"}}
    network = build_network(settings, classes=5, seed=0)
    assert network(IMAGES).logits.shape == (1, 5, 50, 70)
    assert describe(network, ["backbone"], (32, 32)) == {"backbone": TapShape(6, 1)}
    assert network.mean is None


def test_own_code_is_asked_whether_it_takes_the_args(own_code: str) -> None:
    with pytest.raises(ConfigError, match=r"args that build takes, got widht: .*'widht'; set args"):
        build_network({"network": own_code, "args": {"widht": 6}}, classes=5)
    ours = build_network({"network": "import:torch.nn:Tanh"}, classes=3)
    assert ours(IMAGES).logits.shape == IMAGES.shape


def test_weights_of_own_code_and_of_a_run_both_load(own_code: str, tmp_path: Path) -> None:
    network = build_network({"network": own_code}, classes=5, seed=0)
    torch.save(network.network.state_dict(), tmp_path / "theirs.pth")
    save_network(tmp_path / "ours.safetensors", network, {})
    for name in ("theirs.pth", "ours.safetensors"):
        other = build_network({"network": own_code, "weights": tmp_path / name}, classes=5, seed=1)
        assert_close(other(IMAGES).logits, network(IMAGES).logits)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("import:toy_networks:biuld", "got 'biuld'; did you mean 'build'"),
        ("import:toy_networks:number", "expected an nn.Module, got int"),
        ("import:toy_networks", "package.module:function, got no function"),
        ("import:no_such_module:build", "expected a module no_such_module"),
        ("torchvision:deeplabv3_resnet5", "did you mean 'deeplabv3_resnet50'"),
        ("imprt:a:b", "expected a known network, got 'imprt:a:b'"),
        ("hf:nowhere", "folder with config.json, got none; download"),
    ],
)
@pytest.mark.usefixtures("own_code")
def test_refuses_what_is_not_there(name: str, message: str) -> None:
    if name.startswith("hf:"):
        pytest.importorskip("transformers")
    with pytest.raises(ConfigError, match=message):
        build_network({"network": name}, classes=5)


@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "fcn_resnet50"])
def test_torchvisions_networks(name: str) -> None:
    args = {"aux_loss": True} if name.startswith("fcn") else {}
    network = build_network({"network": f"torchvision:{name}", "args": args}, classes=5, seed=0)
    logits = network.eval()(IMAGES).logits
    normalised = (IMAGES - network.mean) / network.std
    assert_close(logits, network.network(normalised)["out"])
    stride = 16 if name.startswith("lraspp") else 8
    assert describe(network, ["backbone"], (64, 64))["backbone"].stride == stride
    if name.startswith("fcn"):
        assert describe(network, ["head"], (64, 64)) == {"head": TapShape(512, 8)}
        assert network.train()(IMAGES.repeat(2, 1, 1, 1)).auxiliary.shape == (2, 5, 50, 70)


SMALL_SWIN: dict[str, object] = {
    "encoder_name": "tu-swin_tiny_patch4_window7_224",
    "embed_dim": 24,
    "depths": (1, 1, 2, 1),
    "decoder_channels": 16,
}
SMP: list[tuple[str, dict[str, object], TapShape, TapShape]] = [
    ("unet", {"encoder_name": "resnet18"}, TapShape(512, 32), TapShape(16, 1)),
    ("unetplusplus", {"encoder_name": "resnet18"}, TapShape(512, 32), TapShape(16, 1)),
    ("fpn", {"encoder_name": "resnet18"}, TapShape(512, 32), TapShape(128, 4)),
    ("deeplabv3plus", {"encoder_name": "resnet18"}, TapShape(512, 16), TapShape(256, 4)),
    ("pspnet", {"encoder_name": "resnet18"}, TapShape(128, 8), TapShape(512, 8)),
    ("upernet", SMALL_SWIN, TapShape(192, 32), TapShape(16, 4)),
    ("segformer", {"encoder_name": "mit_b0"}, TapShape(256, 32), TapShape(256, 4)),
    ("dpt", {"encoder_name": "tu-vit_tiny_patch16_224"}, TapShape(192, 16), TapShape(256, 2)),
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "args", "backbone", "head"), SMP, ids=[each[0] for each in SMP])
def test_networks_of_segmentation_models_pytorch(
    name: str, args: dict[str, object], backbone: TapShape, head: TapShape
) -> None:
    pytest.importorskip("segmentation_models_pytorch")
    network = build_network({"network": f"smp:{name}", "args": args}, classes=5, seed=0).eval()
    logits = network(IMAGES).logits
    padded = torch.nn.functional.pad((IMAGES - network.mean) / network.std, (0, 26, 0, 14))
    assert_close(logits, network.network(padded)[:, :, :50, :70])
    names = ["backbone", "head", "logits"]
    shapes = describe(network, names, (64, 96))
    assert shapes == {"backbone": backbone, "head": head, "logits": TapShape(5, 1)}
    assert list_taps(network, (64, 96))["network.encoder"] == backbone
    with record(network, names) as expected:
        network(IMAGES)
    maps = FrozenTeacher(network, names)(IMAGES)
    assert_close(maps, expected, atol=1e-4, rtol=1e-3)


@pytest.mark.long
@pytest.mark.parametrize(
    ("encoder", "printed", "classifier"),
    [
        ("tu-swin_tiny_patch4_window7_224", 28.3, 769_000),
        ("tu-swin_base_patch4_window7_224", 87.8, 1_025_000),
        *((f"mit_b{n}", m, 0) for n, m in enumerate((3.4, 13.1, 24.2, 44.0, 60.8, 81.4))),
    ],
)
def test_the_papers_transformers_have_their_printed_size(
    encoder: str, printed: float, classifier: int
) -> None:
    # Millions of parameters: Swin's Table 1, with a classifier of 1000 classes; SegFormer's
    # Table 1, the encoder alone.
    pytest.importorskip("segmentation_models_pytorch")
    name = "upernet" if encoder.startswith("tu-") else "segformer"
    settings = {"network": f"smp:{name}", "args": {"encoder_name": encoder}}
    inner = build_network(settings, classes=19).network
    found = sum(each.numel() for each in inner.encoder.parameters())
    assert (found + classifier) / 1e6 == pytest.approx(printed, abs=0.1)


@pytest.mark.parametrize(
    ("network", "args", "message"),
    [
        ("smp:unet", {"encoder_name": "resnet1"}, "got 'resnet1'; did you mean 'resnet18'"),
        ("smp:unet", {"encoder_name": "tu-resnet1"}, "did you mean 'tu-resnet18'"),
        ("smp:unet", {"encoder_nam": "resnet18"}, "'encoder_nam'; did you mean 'encoder_name'"),
        ("smp:upernet", {"encoder_name": "tu-vit_tiny_patch16_224"}, "it answers: Unsupported"),
        ("smp:unet", {"encoder_name": "tu-resnet18", "depht": 3}, "it answers: .*'depht'"),
        ("torchvision:fcn_resnet50", {"num_klasses": 5}, "did you mean 'num_classes'"),
    ],
)
def test_refuses_args_that_a_library_would_swallow_or_stumble_over(
    network: str, args: dict[str, object], message: str
) -> None:
    pytest.importorskip("segmentation_models_pytorch")
    with pytest.raises(ConfigError, match=f"network {network}: expected .*{message}"):
        build_network({"network": network, "args": args}, classes=5)


def test_an_unknown_architecture_names_the_nearest() -> None:
    pytest.importorskip("segmentation_models_pytorch")
    with pytest.raises(ConfigError, match=r"smp:unett: .*did you mean 'unet'"):
        build_network({"network": "smp:unett"}, classes=5)


def test_a_class_map_builds_a_teacher_of_its_own_classes() -> None:
    settings = {
        "network": "torchvision:lraspp_mobilenet_v3_large",
        "args": {"num_classes": 21},
        "class_map": (15, 7),
    }
    network = build_network(settings, classes=2, seed=0).eval()
    assert network.network(IMAGES)["out"].shape[1] == 21
    assert network(IMAGES).logits.shape[1] == 2


@pytest.fixture
def segformer(tmp_path: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(
        num_labels=5,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=12,
    )
    torch.manual_seed(0)
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path)
    processor = '{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 1.0]}'
    (tmp_path / "preprocessor_config.json").write_text(processor)
    return tmp_path


def test_a_hugging_face_folder_with_its_own_normalisation(
    segformer: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    network = build_network({"network": f"hf:{segformer}"}, classes=5).eval()
    assert capfd.readouterr() == ("", "")
    normalised = (IMAGES - torch.tensor([0.1, 0.2, 0.3]).reshape(3, 1, 1)) / torch.tensor(
        [0.5, 0.5, 1.0]
    ).reshape(3, 1, 1)
    assert_close(network(IMAGES).logits, network.network(normalised).logits)
    assert describe(network, ["backbone", "head", "logits"], (64, 96)) == {
        "backbone": TapShape(16, 32),
        "head": TapShape(12, 4),
        "logits": TapShape(5, 4),
    }
    tokens = [path for path in list_taps(network, (64, 96)) if path.endswith("layer_norm")]
    assert tokens
    network.add_taps({"tokens": tokens[-1].removeprefix("network.")})
    assert FrozenTeacher(network, ["tokens"])(IMAGES)["tokens"].shape == (1, 16, 2, 3)


def test_a_hugging_face_network_of_other_classes_is_refused_or_built_anew(
    segformer: Path,
) -> None:
    name = f"hf:{segformer}"
    with pytest.raises(ValueError, match=r"expected 3 classes, got a network of 5.*class_map"):
        build_network({"network": name}, classes=3)
    mapped = build_network({"network": name, "class_map": (4, 0, 0)}, classes=3).eval()
    assert mapped(IMAGES).logits.shape[1] == 3
    fresh = build_network({"network": name, "pretrained": False}, classes=3, seed=0).eval()
    assert fresh(IMAGES).logits.shape[1] == 3
