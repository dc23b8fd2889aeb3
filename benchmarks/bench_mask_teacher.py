"""A network that classifies masks teaches a real-time student on drawn scenes.

    python benchmarks/bench_mask_teacher.py --out runs/mask-teacher

The teacher is a Mask2Former of transformers, small and from scratch, since nothing is downloaded.
It is trained on the logarithm of its class scores per pixel, as any network. The students are
TopFormer-T, plain and with pixel-wise distillation, over the same batches. One seed: it shows that
such a teacher can be trained and taught from, and compares nothing. Finished runs are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import transformers
from results_file import write_result

from segdistill import distill, train
from segdistill.cli.progress import display
from segdistill.data.scenes.canvas import CLASSES
from segdistill.runs.result import read_result
from segdistill.runs.student import student_file


def write_network(folder: Path) -> None:
    """Write a Mask2Former with 20 queries on a Swin of 48 channels, not trained."""
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        embed_dim=48,
        depths=[1, 1, 2, 1],
        num_heads=[2, 4, 8, 8],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=64,
        mask_feature_size=64,
        hidden_dim=64,
        encoder_feedforward_dim=128,
        encoder_layers=2,
        decoder_layers=4,
        num_attention_heads=4,
        dim_feedforward=128,
        num_queries=20,
        id2label=dict(enumerate(CLASSES.names)),
    )
    transformers.Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--out", type=Path, default=Path("runs/mask-teacher"))
    words.add_argument("--teacher-steps", type=int, default=800)
    words.add_argument("--steps", type=int, default=400)
    asked = words.parse_args()
    folder = asked.out / "mask2former"
    if not folder.exists():
        write_network(folder)
    common = ["training.device=cpu", "training.precision=32-true", "training.evaluate_every=null"]
    network = f"hf:{folder}"
    with display() as tell:
        (teacher,) = train(
            "scenes/teacher",
            asked.out / "teacher",
            overrides=[
                *common,
                f"student={{network: '{network}', new_head: true}}",
                f"training.steps={asked.teacher_steps}",
                "training.lr=0.0005",
            ],
            resume=True,
            tell=tell,
        )
        students = distill(
            "scenes/students",
            asked.out / "students",
            overrides=[
                *common,
                f"teacher={{network: '{network}', weights: {student_file(teacher)}}}",
                "student={network: topformer, variant: tiny}",
                f"training.steps={asked.steps}",
                "cohort={plain: {}, kl: {distill: [{loss: pixelwise_kl, weight: 1.0}]}}",
            ],
            resume=True,
            tell=tell,
        )
    runs = {"teacher": teacher, **{run.name: run for run in students}}
    found = {
        name: {
            "miou": result.miou,
            "params_m": result.cost.params_m if result.cost else None,
            "config_hash": result.config_hash,
        }
        for name, run in runs.items()
        if (result := read_result(run))
    }
    steps = {"teacher": asked.teacher_steps, "students": asked.steps}
    print(write_result("mask_teacher", {"steps": steps, "runs": found}))


if __name__ == "__main__":
    main()
