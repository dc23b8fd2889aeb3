"""Distil a Hugging Face SegFormer into a MobileNet student.

    python examples/segformer_to_mobilenet.py [FOLDER]

Here a toy SegFormer is made and trained first. With a real one, `hf download NAME --local-dir
FOLDER` once, name the folder in `teacher.network` and leave the first step out; `class_map`
names its class for each of ours where the order differs.
"""

import sys
from pathlib import Path

import segdistill  # isort: skip  (before torch, whose threads then sleep while they wait)
from transformers import SegformerConfig, SegformerForSemanticSegmentation, set_seed

from segdistill.runs.result import read_result
from segdistill.runs.student import student_file

CONFIG = """\
data: {{dataset: scenes, size: [64, 96], train_images: 32, val_images: 8, crop: [64, 64]}}
teacher: {{network: "hf:{folder}"}}
student: {{network: lraspp, backbone: mobilenetv2_035, output_stride: 16, width: 32}}
distill:
  - {{loss: channelwise_kl, tap: logits, weight: 3.0}}
  - {{loss: attention, tap: backbone, weight: 10.0}}
training: {{steps: 20, lr: 0.05, log_every: 5}}
"""


def make_segformer(folder: Path) -> None:
    """Save an untrained SegFormer of toy size, as `save_pretrained` lays out real ones."""
    set_seed(0)
    config = SegformerConfig(
        num_labels=11,
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 64, 96],
        num_attention_heads=[1, 2, 4, 4],
        decoder_hidden_size=64,
    )
    SegformerForSemanticSegmentation(config).save_pretrained(folder)


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/segformer")
    make_segformer(out / "segformer")
    file = out / "run.yaml"
    file.write_text(CONFIG.format(folder=out / "segformer"))
    (teacher,) = segdistill.train(
        file,
        out / "teacher",
        overrides=[
            f"student={{network: 'hf:{out / 'segformer'}'}}",
            "training={steps: 20, optimizer: adamw, lr: 0.001}",
        ],
    )
    weights = f"teacher.weights={student_file(teacher)}"
    (student,) = segdistill.distill(file, out / "student", overrides=[weights])
    for run in (teacher, student):
        result = read_result(run).as_dict()
        print(f"{result['name']}: mIoU {100 * result['miou']:.1f} %, {result['params_m']:.3f} M")
