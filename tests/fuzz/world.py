"""A folder with one of everything that commands read: configs, runs, a study, packs, exports."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

Call = Callable[[list[str]], int]
"""Runs a command of the CLI and returns its exit code."""

DATA = {"dataset": "folder", "root": "photos", "batch_size": 2, "crop": [32, 32]}
TEACHER = {
    "network": "fcn",
    "backbone": "resnet10t",
    "output_stride": 16,
    "width": 8,
    "untrained": True,
}
STUDENT = {"network": "lraspp", "backbone": "mobilenetv2_035", "output_stride": 16, "width": 8}
TRAINING = {"steps": 2, "checkpoint_every": 1, "log_every": 1, "evaluate_every": 1, "device": "cpu"}
RUN = {
    "data": DATA,
    "teacher": TEACHER,
    "student": STUDENT,
    "distill": [{"loss": "pixelwise_kl"}],
    "training": TRAINING,
    "evaluation": {"pictures": 1},
}
COHORT = {
    **{key: value for key, value in RUN.items() if key != "distill"},
    "cohort": {"plain": {}, "kl": {"distill": [{"loss": "pixelwise_kl", "weight": 2.0}]}},
}
STUDY = {
    **{key: RUN[key] for key in ("data", "teacher", "student", "evaluation")},
    "methods": {"kl": [{"loss": "pixelwise_kl"}]},
    "training": {"steps": 1, "device": "cpu"},
    "search": {"trials": 1},
    "seeds": 1,
    "engine": {"threads": 1},
}
SEGFORMER = {
    "model_type": "segformer",
    "architectures": ["SegformerForSemanticSegmentation"],
    "num_encoder_blocks": 2,
    "depths": [1, 1],
    "sr_ratios": [2, 1],
    "hidden_sizes": [8, 16],
    "patch_sizes": [7, 3],
    "strides": [4, 2],
    "num_attention_heads": [1, 2],
    "mlp_ratios": [2, 2],
    "decoder_hidden_size": 16,
    "id2label": {"0": "low", "1": "middle", "2": "high"},
    "dtype": "float32",
}
EXPORTS = ("masks", "kaggle", "roboflow", "cvat", "voc", "coco", "panoptic", "labelme")
EXPORTS += ("label_studio", "supervisely")


def build(root: Path, call: Call, *, study: bool = True) -> None:
    """Make the world in an empty folder.

    Args:
        root: the folder.
        call: runs a command there.
        study: make one as well, which takes as long as all the rest.
    """
    draw_photos(root / "photos")
    write_library_folder(root / "segformer")
    configs = {
        "run": RUN,
        "cohort": COHORT,
        "study": STUDY,
        "packed": RUN | {"data": DATA | {"root": "packed"}},
        "tiles": RUN | {"data": DATA | {"root": "tiles"}},
        "list": RUN | {"data": DATA | {"dataset": "list", "file": "table.csv"}},
        "segformer": RUN | {"teacher": {"network": "hf:segformer"}},
        "weights": RUN | {"teacher": STUDENT | {"weights": "student.pth"}},
    }
    for name, tree in configs.items():
        (root / f"{name}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    rows = [
        f"{split}/images/{number}.png,{split}/masks/{number}.png,{split}\n"
        for split in ("train", "val")
        for number in range(3)
    ]
    (root / "photos" / "table.csv").write_text("image,mask,split\n" + "".join(rows))
    with within(root):
        for words in (
            "distill run.yaml --out trained",
            "distill cohort.yaml --out cohort",
            "pack folder root=photos --out packed",
            "pack folder root=photos --out tiles --compress",
            *(["study study.yaml --out study"] if study else []),
        ):
            code = call(words.split())
            if code:
                raise RuntimeError(f"segdistill {words}: exit {code}")
        # It diverges, and keeps its step.
        call(["distill", "run.yaml", "--out", "diverged", "training.lr=1e30", "training.steps=3"])
    save_weights(root)
    shutil.copytree(root / "trained", root / "half")
    for file in (root / "half").iterdir():
        if file.name in ("result.json", "cost.json", "report.html", "model.safetensors"):
            file.unlink()
    (root / "half" / "checkpoints" / "step-00000002.pt").unlink()
    make_exports(root / "exports")


def draw_photos(root: Path) -> None:
    """Draw a folder of images, masks and class names."""
    draws = np.random.default_rng(0)
    for split in ("train", "val"):
        for number in range(3):
            image = draws.integers(0, 255, (40, 56, 3), dtype=np.uint8)
            mask = (image[..., 0] // 100).astype(np.uint8)
            for kind, picture in (("images", image), ("masks", mask)):
                file = root / split / kind / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(file)
    (root / "classes.txt").write_text("0 low 0 0 0\n1 middle 0 255 0\n2 high 0 0 255\n")


def write_library_folder(root: Path) -> None:
    """Write a folder as transformers does; its shard lacks most weights, which is refused."""
    from safetensors.numpy import save_file

    root.mkdir()
    shard = "model-00001-of-00001.safetensors"
    index = {"metadata": {"total_size": 12}, "weight_map": {"decode_head.classifier.bias": shard}}
    processor = {"image_processor_type": "SegformerImageProcessor", "do_normalize": True}
    files = {
        "config.json": SEGFORMER,
        "model.safetensors.index.json": index,
        "preprocessor_config.json": processor | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    }
    for name, tree in files.items():
        (root / name).write_text(json.dumps(tree))
    zeros = {"decode_head.classifier.bias": np.zeros(3, np.float32)}
    save_file(zeros, root / shard, metadata={"format": "pt"})


def save_weights(root: Path) -> None:
    """Write the student's weights as other programs do, a pickle of tensors."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(root / "trained" / "model.safetensors"), root / "student.pth")


def make_exports(root: Path) -> None:
    """Write what each annotation tool exports."""
    file = Path(__file__).parents[1] / "data" / "convert" / "exports.py"
    spec = importlib.util.spec_from_file_location("fuzzed_exports", file)
    assert spec is not None
    assert spec.loader is not None
    exports = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exports)
    for name in EXPORTS:
        getattr(exports, name)(root / name)


@contextmanager
def within(folder: Path) -> Iterator[None]:
    """Work in a folder for a block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def copy(world: Path, to: Path, parts: Sequence[str] | None = None) -> None:
    """Copy a world; large files, which commands replace and never change, get a second name.

    Args:
        world: the folder.
        to: a new one.
        parts: files and folders of the world; None copies all.
    """

    def take(source: str, target: str) -> None:
        if os.path.getsize(source) > 65_536 and not source.endswith((".jsonl", ".csv")):
            os.link(source, target)
        else:
            shutil.copyfile(source, target)

    to.mkdir(parents=True)
    for part in world.iterdir() if parts is None else (world / name for name in parts):
        if part.is_dir():
            shutil.copytree(part, to / part.name, copy_function=take)
        else:
            take(str(part), str(to / part.name))
