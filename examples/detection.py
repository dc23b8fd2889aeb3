"""Distil object detectors: LAD on the pyramid's maps, beside plain training (Liu et al., Table 7).

    python examples/detection.py [FOLDER] --teacher resnext101_64x4d --student resnet50

FOLDER holds train/, val/, train.json and val.json as COCO has them; where it does not exist,
drawings with exact boxes are written there. Networks start from scratch.
"""

import io
import json
from argparse import ArgumentParser, Namespace
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.transforms.functional import pil_to_tensor

from segdistill.losses import layer_angular

Images = list[tuple[int, Tensor, dict[str, Tensor]]]

COUNTS = {"size": 160, "images": 200, "steps": 400, "batch-size": 8, "seed": 0}
WEIGHT = 10.0  # of LAD: "λ_ad is set to 10", for each level of the pyramid here
COLUMNS = {"category_id": "labels", "score": "scores"}  # of pycocotools, in torchvision
SHAPES = {1: ImageDraw.ImageDraw.rectangle, 2: ImageDraw.ImageDraw.ellipse}


def draw_split(folder: Path, split: str, count: int, size: int, seed: int) -> None:
    """Write images of rectangles and ellipses with the boxes that their pixels fill."""
    rng = np.random.default_rng(seed)
    (folder / split).mkdir(parents=True)
    names = [{"id": 1, "name": "rectangle"}, {"id": 2, "name": "ellipse"}]
    coco: dict[str, list] = {"categories": names, "images": [], "annotations": []}
    for number in range(count):
        noise = rng.normal(rng.uniform(40, 215), 20, (size, size, 3)).clip(0, 255)
        image = Image.fromarray(noise.astype(np.uint8))
        owner = Image.new("I", (size, size))
        kinds = rng.integers(1, 3, rng.integers(1, 4)).tolist()
        for place, kind in enumerate(kinds, 1):
            side = rng.integers(size // 8, size // 2, 2)
            left, top = rng.integers(0, size - side)
            box = [*map(int, (left, top, left + side[0] - 1, top + side[1] - 1))]
            SHAPES[kind](ImageDraw.Draw(image), box, fill=tuple(rng.integers(0, 256, 3).tolist()))
            SHAPES[kind](ImageDraw.Draw(owner), box, fill=place)
        image.save(folder / split / f"{number}.png")
        coco["images"].append({"id": number, "file_name": f"{number}.png"})
        for place, kind in enumerate(kinds, 1):
            rows, columns = np.nonzero(np.asarray(owner) == place)  # what later shapes left of it
            if len(rows) >= 16:
                box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
                own = {"id": len(coco["annotations"]) + 1, "image_id": number, "iscrowd": 0}
                own |= {"bbox": [*map(int, box)], "area": len(rows), "category_id": kind}
                coco["annotations"].append(own)
    (folder / f"{split}.json").write_text(json.dumps(coco))


def read_split(folder: Path, split: str) -> tuple[COCO, Images]:
    with redirect_stdout(io.StringIO()):
        coco = COCO(folder / f"{split}.json")
    read = []
    for number in coco.getImgIds():
        found = [one for one in coco.imgToAnns[number] if not one["iscrowd"]]
        boxes = torch.tensor([one["bbox"] for one in found], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = torch.tensor([one["category_id"] for one in found], dtype=torch.int64)
        image = Image.open(folder / split / coco.imgs[number]["file_name"]).convert("RGB")
        read.append((number, pil_to_tensor(image) / 255, {"boxes": boxes, "labels": labels}))
    return coco, read


def make_detector(kind: str, backbone: str, classes: int, size: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    pyramid = resnet_fpn_backbone(
        backbone_name=backbone, weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )
    build = {"retinanet": RetinaNet, "faster_rcnn": FasterRCNN}[kind]
    return build(pyramid, num_classes=classes, min_size=size, max_size=2 * size)


def fit(detector: nn.Module, images: Images, words: Namespace, by: nn.Module | None = None) -> None:
    optimizer = torch.optim.SGD(detector.parameters(), words.lr, 0.9, weight_decay=1e-4)
    seen: dict[str, object] = {}
    detector.backbone.register_forward_hook(lambda _, given, maps: seen.update(x=given[0], y=maps))
    order = torch.Generator().manual_seed(words.seed)  # the same batches for every detector
    detector.train()
    for _ in range(words.steps):
        chosen = torch.randint(len(images), (words.batch_size,), generator=order).tolist()
        batch = [images[index][1] for index in chosen]
        loss = sum(detector(batch, [images[index][2] for index in chosen]).values())
        if by is not None:
            with torch.no_grad():
                taught = by.backbone(seen["x"])  # what the student's own backbone was fed
            for level, maps in seen["y"].items():
                loss = loss + WEIGHT * layer_angular(maps, taught[level])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(detector.parameters(), 35.0)
        optimizer.step()
    detector.eval()


@torch.no_grad()
def score(detector: nn.Module, coco: COCO, images: Images) -> list[float]:
    """Return pycocotools' AP over IoU 0.5 to 0.95, and that of small, medium and large boxes."""
    rows = []
    for number, image, _ in images:
        found = {key: value.tolist() for key, value in detector([image])[0].items()}
        for place, (left, top, right, low) in enumerate(found["boxes"]):
            box = {"bbox": [left, top, right - left, low - top], "image_id": number}
            rows.append(box | {key: found[own][place] for key, own in COLUMNS.items()})
    if not rows:
        return [0.0] * 4
    with redirect_stdout(io.StringIO()):
        judge = COCOeval(coco, coco.loadRes(rows), "bbox")
        for step in (judge.evaluate, judge.accumulate, judge.summarize):
            step()
    return [float(judge.stats[place]) for place in (0, 3, 4, 5)]


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs/detection"))
    parser.add_argument("--detector", choices=("retinanet", "faster_rcnn"), default="retinanet")
    parser.add_argument("--teacher", default="resnet101")
    parser.add_argument("--student", default="resnet50")
    for name, value in COUNTS.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--lr", type=float, default=0.01)
    words = parser.parse_args()
    if not words.folder.exists():
        draw_split(words.folder, "train", words.images, words.size, seed=0)
        draw_split(words.folder, "val", max(1, words.images // 4), words.size, seed=1)
    (coco, train), (judged, val) = (read_split(words.folder, split) for split in ("train", "val"))
    make = [words.detector, words.teacher, max(coco.cats) + 1, words.size, words.seed]
    fit(teacher := make_detector(*make), train, words)
    print(f"{'':24}   AP  AP_S  AP_M  AP_L   (-1: no such box)")
    results = {f"teacher {words.teacher}": score(teacher, judged, val)}
    make[1] = words.student
    for name, taught_by in (("plain", None), ("LAD", teacher)):
        fit(student := make_detector(*make), train, words, taught_by)
        results[f"{name} {words.student}"] = score(student, judged, val)
    for name, aps in results.items():
        print(f"{name:24}" + "".join(f"{100 * ap if ap >= 0 else ap:6.1f}" for ap in aps))
