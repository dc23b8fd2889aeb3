"""Two stages: a head on a frozen foundation backbone becomes a teacher, which is distilled."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

import segdistill
from segdistill.runs.result import read_result

TINY = "vit_tiny_patch16_dinov3_qkvb"
WORDS = [
    "data={dataset: scenes, size: [48, 64], train_images: 6, val_images: 2, batch_size: 2,"
    " crop: [32, 48]}",
    "training.steps=2",
    "training.warmup_steps=0",
    "training.evaluate_every=null",
    "training.precision=32-true",
    "training.device=cpu",
    "evaluation={pictures: 0}",
]


@pytest.mark.long
def test_only_the_head_is_trained_and_then_teaches(tmp_path: Path) -> None:
    torch.manual_seed(0)
    foundation = timm.create_model(TINY, num_classes=0).state_dict()
    save_file(foundation, tmp_path / "foundation.safetensors")
    (first,) = segdistill.train(
        "foundation/teacher",
        tmp_path / "teacher",
        overrides=[
            *WORDS,
            f"student.backbone={TINY}",
            "student.width=16",
            f"student.backbone_weights={tmp_path / 'foundation.safetensors'}",
        ],
    )
    weights = first / "model.safetensors"
    trained = {name: tensor for name, tensor in load_file(weights).items() if "backbone" in name}
    kept = [
        any(
            torch.equal(tensor, given)
            for given in foundation.values()
            if given.shape == tensor.shape
        )
        for tensor in trained.values()
    ]
    assert len(kept) > 100
    assert all(kept), "every tensor of the backbone is one of the file"
    plain, distilled = segdistill.distill(
        "foundation/students",
        tmp_path / "students",
        overrides=[*WORDS, f"teacher={{weights: {weights}}}", "student.width=16"],
    )
    methods = [read_result(run).method for run in (plain, distilled)]
    assert methods == ["plain", "pixelwise_kl"]
