"""Hugging Face folders: wholly the folder's network, fed as its image processor says."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from segdistill.errors import ConfigError
from segdistill.models import Adapter, build_network
from segdistill.models.foreign.huggingface import _normalisation

transformers = pytest.importorskip("transformers")

SEGFORMER = {
    "num_encoder_blocks": 2,
    "depths": [1, 1],
    "sr_ratios": [2, 1],
    "hidden_sizes": [8, 16],
    "patch_sizes": [7, 3],
    "strides": [4, 2],
    "num_attention_heads": [1, 2],
    "mlp_ratios": [2, 2],
    "decoder_hidden_size": 16,
    "num_labels": 5,
}


def built(folder: Path, **settings: Any) -> Adapter:
    network = build_network({"network": f"hf:{folder}", **settings}, classes=5, seed=0).eval()
    assert isinstance(network, Adapter)
    return network


@pytest.fixture
def segformer(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.SegformerConfig(**SEGFORMER)
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path)
    return tmp_path


def test_a_folder_without_a_head_is_refused_and_can_be_fine_tuned(tmp_path: Path) -> None:
    config = transformers.SegformerConfig(**SEGFORMER)
    transformers.SegformerModel(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"decode_head.*would be random; .*new_head=true"):
        built(tmp_path)
    network = built(tmp_path, new_head=True)
    kept = transformers.SegformerModel.from_pretrained(tmp_path)
    ours = network.network.segformer.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in kept.state_dict().items())


def test_a_folder_of_pickled_weights_is_told_how_and_keeps_its_classes(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    config = transformers.SegformerConfig(**SEGFORMER, id2label=dict(enumerate(reversed(names))))
    theirs = transformers.SegformerForSemanticSegmentation(config).eval()
    theirs.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(theirs.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"set pretrained=false and weights=.*pytorch_model\.bin"):
        built(tmp_path)
    settings = {"network": f"hf:{tmp_path}", "pretrained": False}
    ours = build_network(
        settings | {"weights": tmp_path / "pytorch_model.bin"}, classes=5, class_names=names
    ).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = theirs((images - ours.mean) / ours.std).logits.flip(1)
        assert_close(ours(images).logits, expected)


def test_a_new_head_has_the_datas_classes(segformer: Path) -> None:
    network = build_network({"network": f"hf:{segformer}", "new_head": True}, classes=7, seed=0)
    assert network(torch.rand(2, 3, 64, 64)).logits.shape[1] == 7


# What the image processor of transformers does, in words that need no images library.
FED: list[tuple[dict[str, Any], float, float]] = [
    ({"do_normalize": False}, 0.0, 1.0),
    ({"image_mean": 0.5, "image_std": 0.25}, 0.5, 0.25),
    ({"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [51.0] * 3}, 0.5, 0.2),
    ({"rescale_factor": 2 / 255, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}, 0.5, 0.5),
]


@pytest.mark.parametrize(("processor", "mean", "std"), FED)
def test_is_fed_as_the_image_processor_says(
    segformer: Path, processor: dict[str, Any], mean: float, std: float
) -> None:
    (segformer / "preprocessor_config.json").write_text(json.dumps(processor))
    adaptation = built(segformer).adaptation
    assert adaptation.mean == pytest.approx((mean,) * 3)
    assert adaptation.std == pytest.approx((std,) * 3)


def test_a_processor_that_flips_the_channels_is_followed(segformer: Path) -> None:
    flips = {"image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True}
    (segformer / "preprocessor_config.json").write_text(json.dumps(flips))
    assert built(segformer).adaptation.channel_order == "bgr"


def test_a_processor_without_a_mean_asks_for_one(
    segformer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (segformer / "preprocessor_config.json").write_text("{}")
    # Some versions give their own mean where the file has null.
    processor = SimpleNamespace(
        do_rescale=False, do_normalize=True, image_mean=None, image_std=None
    )
    monkeypatch.setattr(
        transformers.AutoImageProcessor, "from_pretrained", lambda *_, **__: processor
    )
    with pytest.raises(ConfigError, match="but has no mean and std; set mean and std"):
        built(segformer)


def test_half_precision_folders_compute_in_float32(segformer: Path) -> None:
    network = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer)
    network.half().save_pretrained(segformer)
    assert built(segformer)(torch.rand(1, 3, 64, 64)).logits.dtype == torch.float32


def test_dpt_takes_images_of_any_size(tmp_path: Path) -> None:
    config = transformers.DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        num_labels=5,
        use_auxiliary_head=False,
    )
    transformers.DPTForSemanticSegmentation(config).save_pretrained(tmp_path)
    network = built(tmp_path)
    assert network.adaptation.square  # transformers takes the root of the number of patches
    for height, width in ((95, 129), (64, 160)):
        logits = network(torch.rand(1, 3, height, width)).logits
        assert logits.shape[:2] == (1, 5)
        assert height - 1 <= logits.shape[2] <= height
        assert width - 1 <= logits.shape[3] <= width


def test_mask_classification_gives_the_librarys_classes_per_pixel(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.EomtConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=32,
        patch_size=8,
        num_blocks=1,
        num_queries=6,
        num_upscale_blocks=1,
        num_labels=5,
    )
    transformers.EomtForUniversalSegmentation(config).save_pretrained(tmp_path)
    network = built(tmp_path)
    images = torch.rand(2, 3, 32, 32)
    logits = network(images).logits
    assert logits.shape[:2] == (2, 5)

    given = network.network((images - network.mean) / network.std)
    classes = given.class_queries_logits.softmax(dim=-1)[..., :-1]
    masks = given.masks_queries_logits.sigmoid()
    expected = torch.zeros_like(logits)
    for query in range(6):
        for label in range(5):
            expected[:, label] += classes[:, query, label, None, None] * masks[:, query]
    assert_close(logits.exp(), expected)
    processor = transformers.EomtImageProcessor(size={"shortest_edge": 32, "longest_edge": 32})
    sizes = [(32, 32), (32, 32)]
    theirs = processor.post_process_semantic_segmentation(given, target_sizes=sizes)
    ours = F.interpolate(logits.exp(), (32, 32), mode="bilinear").argmax(dim=1)
    assert (torch.stack(theirs) == ours).float().mean() > 0.99


def test_a_network_that_segments_otherwise_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "detr"}', encoding="utf-8")
    with pytest.raises(ConfigError, match="got one of the kind detr; choose one of"):
        built(tmp_path)


ELSEWHERE: dict[str, dict[str, Any]] = {
    "the backbone 'someone/backbone'": {"model_type": "upernet", "backbone": "someone/backbone"},
    "the backbone 'hf-hub:a/b'": {
        "model_type": "maskformer",
        "backbone_config": {"model_type": "timm_backbone", "backbone": "hf-hub:a/b"},
    },
    "use_pretrained_backbone": {
        "model_type": "upernet",
        "backbone": "resnet18",
        "use_timm_backbone": True,
        "use_pretrained_backbone": True,
    },
    "_attn_implementation 'someone/kernel'": {
        "model_type": "segformer",
        "_attn_implementation": "someone/kernel",
    },
}


@pytest.mark.parametrize("said", ELSEWHERE)
@pytest.mark.parametrize("pretrained", [True, False])
def test_a_folder_that_sends_elsewhere_is_refused(
    said: str, pretrained: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise AssertionError(f"a connection was asked for: {given}")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    (tmp_path / "config.json").write_text(json.dumps(ELSEWHERE[said]))
    with pytest.raises(ConfigError, match=said):
        built(tmp_path, pretrained=pretrained)


def test_a_request_that_no_key_shows_is_refused_too(
    segformer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import hf_hub_download

    def ask(*given: object, **named: object) -> None:
        hf_hub_download("someone/backbone", "config.json")

    monkeypatch.setattr("socket.getaddrinfo", ask)
    monkeypatch.setattr(transformers.AutoModelForSemanticSegmentation, "from_pretrained", ask)
    with pytest.raises(ConfigError, match="transformers answers"):
        built(segformer)


BROKEN: dict[str, tuple[str, object]] = {
    "depths": ("config.json", {"depths": "x"}),
    "num_labels": ("config.json", {"num_labels": "x"}),
    "model_type": ("config.json", {"model_type": ["a"]}),
    "id2label": ("config.json", {"id2label": {"a": "b"}}),
    "dtype": ("config.json", {"torch_dtype": "nope", "dtype": "nope"}),
    "a list": ("config.json", [1]),
    "no width": ("config.json", {"hidden_sizes": [0, 16]}),
    "an index that is a list": ("model.safetensors.index.json", [1]),
    "an index of a list": ("model.safetensors.index.json", {"weight_map": []}),
    "a processor": ("preprocessor_config.json", {"do_rescale": True, "rescale_factor": "x"}),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_folder_is_answered_in_one_line(broken: str, segformer: Path) -> None:
    name, changes = BROKEN[broken]
    file = segformer / name
    known = json.loads(file.read_text()) if name == "config.json" else {}
    tree = known | changes if isinstance(changes, dict) else changes
    if name == "model.safetensors.index.json":
        (segformer / "model.safetensors").unlink()
    file.write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match=r"expected .*(answers: |got list)") as raised:
        built(segformer)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("rescales", [True, False])
def test_a_processor_that_cannot_normalise_does_not(rescales: bool) -> None:
    class Processor:  # transformers 4.57's of MobileViT has no do_normalize
        do_rescale, rescale_factor = rescales, 1 / 255

    scale = 1.0 if rescales else 255.0
    assert _normalisation(Processor()) == ((0.0,) * 3, pytest.approx((1 / scale,) * 3))
