"""Exports as the tools write them, and the masks that they mean."""

import base64
import io
import itertools
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

SIZE = 24, 32
COLORS = ((128, 128, 128), (128, 64, 128), (64, 0, 128))


class Expected(NamedTuple):
    """What a conversion has to give: class names, and masks by split and name."""

    names: tuple[str, ...]
    masks: dict[tuple[str, str], np.ndarray]


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and its ids: sky 0, road 1 below, a car 2 that stands on both."""
    ids = np.zeros(SIZE, np.uint8)
    ids[12:] = 1
    left = 2 + 3 * seed % 17
    ids[8:16, left : left + 9] = 2
    noise = np.random.default_rng(seed).integers(0, 40, (*SIZE, 3), dtype=np.uint8)
    return np.array([(60, 110, 200), (90, 90, 80), (200, 60, 50)], np.uint8)[ids] + noise, ids


def save(file: Path, content: np.ndarray | str | dict[str, Any] | list[Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        Image.fromarray(content).save(file)
    else:
        file.write_text(content if isinstance(content, str) else json.dumps(content))


def scenes() -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """Return split, name, image and ids of three training and two validation images."""
    named = [("train", f"t{i}", i) for i in range(3)] + [("val", f"v{i}", 10 + i) for i in range(2)]
    return [(split, name, *scene(seed)) for split, name, seed in named]


def expected(names: tuple[str, ...] = ("sky", "road", "car")) -> Expected:
    return Expected(names, {(split, name): ids for split, name, _, ids in scenes()})


def car_box(ids: np.ndarray) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the car, the last two outside."""
    rows, columns = np.nonzero(ids == 2)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def kaggle(root: Path) -> Expected:
    for split, name, image, ids in scenes():
        save(root / f"CamVid/{split}/{name}.png", image)
        save(root / f"CamVid/{split}_labels/{name}_L.png", np.array(COLORS, np.uint8)[ids])
    rows = "".join(
        f"{n},{r},{g},{b}\n" for n, (r, g, b) in zip(["Sky", "Road", "Car"], COLORS, strict=False)
    )
    save(root / "CamVid/class_dict.csv", "name,r,g,b\n" + rows + "Void,0,0,0\n")
    return expected(("Sky", "Road", "Car"))


def roboflow(root: Path) -> Expected:
    for split, name, image, ids in scenes():
        folder = root / {"train": "train", "val": "valid"}[split]
        save(folder / f"{name}.jpg", image)
        save(folder / f"{name}_mask.png", ids)
        save(folder / "_classes.csv", "Pixel Value, Class\n0, background\n1, road\n2, car\n")
    return expected(("background", "road", "car"))


def cvat(root: Path) -> Expected:
    lines = {"train": "", "val": ""}
    for split, name, image, ids in scenes():
        save(root / f"JPEGImages/{name}.jpg", image)
        save(root / f"SegmentationClass/{name}.png", np.array(COLORS, np.uint8)[ids])
        save(root / f"SegmentationObject/{name}.png", np.array(COLORS, np.uint8)[ids])
        lines[split] += f"{name}\n"
    for split, text in lines.items():
        save(root / f"ImageSets/Segmentation/{split}.txt", text)
    rows = zip(("sky", "road", "car"), COLORS, strict=True)
    listed = "".join(f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in rows)
    save(root / "labelmap.txt", "# label:color_rgb:parts:actions\n" + listed)
    return expected()


def voc(root: Path) -> Expected:
    lines = {"train": "", "val": ""}
    for split, name, image, ids in scenes():
        save(root / f"JPEGImages/{name}.jpg", image)
        picture = Image.fromarray(ids, "P")
        picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
        (root / "SegmentationClass").mkdir(exist_ok=True)
        picture.save(root / f"SegmentationClass/{name}.png")
        lines[split] += f"{name}\r\n"
    save(root / "JPEGImages/without_mask.jpg", scene(7)[0])
    for split, text in lines.items():
        save(root / f"ImageSets/Segmentation/{split}.txt", text)
    save(root / "class_names.txt", "_background_\nroad\ncar\n")
    return expected(("_background_", "road", "car"))


def coco(root: Path) -> Expected:
    categories = [{"id": 7, "name": "sky"}, {"id": 9, "name": "road"}, {"id": 3, "name": "car"}]
    for split in ("train", "val"):
        images, regions = [], []
        for place, (_, name, image, ids) in enumerate(s for s in scenes() if s[0] == split):
            file = f"{name}_png.rf.0a1b.jpg"
            save(root / split / file, image)
            height, width = SIZE
            images.append({"id": place, "file_name": file, "height": height, "width": width})
            left, top, right, bottom = (int(side) for side in car_box(ids))
            car = [left, top, right, top, right, bottom, left, bottom]
            road = {"size": [height, width], "counts": _column_runs(ids > 0)}
            sky = [0, 0, width, 0, width, 12, 0, 12]
            for number, (category, outline) in enumerate(((3, [car]), (9, road), (7, [sky]))):
                regions.append(
                    {"id": 10 * place + number, "image_id": place, "category_id": category,
                     "segmentation": outline, "iscrowd": int(isinstance(outline, dict))}
                )  # fmt: skip
        content = {"images": images, "annotations": regions, "categories": categories}
        save(root / split / "_annotations.coco.json", content)
    masks = {(split, f"{name}_png.rf.0a1b"): ids for split, name, _, ids in scenes()}
    # Road is drawn first, as a crowd; the sky above it and the car on both.
    return Expected(("car", "sky", "road"), {k: np.array([1, 2, 0])[v] for k, v in masks.items()})


def _column_runs(region: np.ndarray) -> list[int]:
    """COCO's run lengths: column by column, off first."""
    flat = region.T.ravel()
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), len(flat)]
    runs = np.diff(edges).tolist()
    return [0, *runs] if flat[0] else runs


def panoptic(root: Path) -> Expected:
    kinds = ("sky", "road", "car")
    for split in ("train", "val"):
        images, rows = [], []
        for place, (_, name, image, ids) in enumerate(s for s in scenes() if s[0] == split):
            save(root / f"{split}/{name}.jpg", image)
            segments = 70_000 * (ids.astype(int) + 1) + place
            segments[:2] = 0
            channels = [segments % 256, segments // 256 % 256, segments // 65536]
            save(root / f"panoptic_{split}/{name}.png", np.dstack(channels).astype(np.uint8))
            images.append({"id": place, "file_name": f"{name}.jpg"})
            listed = [{"id": 70_000 * (i + 1) + place, "category_id": 5 + i} for i in range(3)]
            rows.append({"image_id": place, "file_name": f"{name}.png", "segments_info": listed})
        categories = [
            {"id": 5 + i, "name": kind, "color": COLORS[i]} for i, kind in enumerate(kinds)
        ]
        content = {"images": images, "annotations": rows, "categories": categories}
        save(root / f"panoptic_{split}.json", content)
    masks = {key: ids.copy() for key, ids in expected().masks.items()}
    for ids in masks.values():
        ids[:2] = 255
    return Expected(kinds, masks)


def _labelme_shapes(ids: np.ndarray) -> list[dict[str, Any]]:
    left, top, right, bottom = (int(side) for side in car_box(ids))
    car = io.BytesIO()
    Image.fromarray(np.ones((bottom - top, right - left), bool)).save(car, "PNG")
    return [
        {"label": "sky", "shape_type": "rectangle", "points": [[31, 11], [0, 0]]},
        {"label": "road", "points": [[0, 12], [31, 12], [31, 23], [0, 23]]},
        {"label": "car", "shape_type": "mask", "points": [[left, top], [right - 1, bottom - 1]],
         "mask": base64.b64encode(car.getvalue()).decode()},
        {"label": "car", "shape_type": "point", "points": [[1, 1]]},
    ]  # fmt: skip


def labelme(root: Path) -> Expected:
    for split, name, image, ids in scenes():
        save(root / f"{split}/{name}.jpg", image)
        content = {"version": "5.5.0", "shapes": _labelme_shapes(ids), "imagePath": f"{name}.jpg"}
        size = {"imageHeight": SIZE[0], "imageWidth": SIZE[1], "imageData": None}
        save(root / f"{split}/{name}.json", content | size)
    save(root / "labels.txt", "__ignore__\n_background_\nroad\ncar\nsky\n")
    masks = {key: np.array([3, 1, 2])[ids] for key, ids in expected().masks.items()}
    return Expected(("_background_", "road", "car", "sky"), masks)


def brush_stream(region: np.ndarray) -> list[int]:
    """Label Studio's stream of a region: RGBA values, a block for each run."""
    flat = np.repeat(region.ravel().astype(np.uint8) * 255, 4)
    bits = f"{len(flat):032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), len(flat)]
    for start, end in itertools.pairwise(edges):
        bits += f"111{end - start - 1:016b}{flat[start]:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def _label_studio_results(ids: np.ndarray) -> list[dict[str, Any]]:
    sides = {"original_height": SIZE[0], "original_width": SIZE[1]}
    below = [
        [0, 12 / 24 * 100],
        [31 / 32 * 100, 50],
        [31 / 32 * 100, 23 / 24 * 100],
        [0, 23 / 24 * 100],
    ]
    return [
        {"type": "brushlabels", "value": {"brushlabels": ["sky"], "format": "rle",
                                          "rle": brush_stream(ids == 0)}, **sides},
        {"type": "polygonlabels", "value": {"polygonlabels": ["road"], "points": below}, **sides},
        {"type": "brushlabels", "value": {"brushlabels": ["car"], "format": "rle",
                                          "rle": brush_stream(ids == 2)}, **sides},
        {"type": "choices", "value": {"choices": ["day"]}},
    ]  # fmt: skip


def label_studio(root: Path) -> Expected:
    tasks = []
    for number, (split, name, image, ids) in enumerate(scenes()):
        save(root / f"images/{split}/{name}.jpg", image)
        made = [{"id": 1, "was_cancelled": True, "result": []}]
        made.append({"id": 2, "was_cancelled": False, "result": _label_studio_results(ids)})
        address = f"/data/upload/1/0a1b2c3d-{name}.jpg"
        tasks.append({"id": number, "data": {"image": address}, "annotations": made})
    save(root / "project-1.json", tasks)
    masks = {key: np.array([2, 1, 0])[ids] for key, ids in expected().masks.items()}
    return Expected(("car", "road", "sky"), masks)


def brush_png(root: Path) -> Expected:
    masks = {}
    for number, (split, _, image, ids) in enumerate(scenes()):
        save(root / f"{split}/task-{number}.jpg", image)
        for value, label in enumerate(("sky", "road", "car")):
            file = root / f"task-{number}-annotation-4-by-1-tag-{label}-0.png"
            save(file, (ids == value).astype(np.uint8) * 255)
        masks[split, f"task-{number}"] = np.array([2, 1, 0])[ids]
    return Expected(("car", "road", "sky"), masks)


def supervisely(root: Path) -> Expected:
    kinds = ("sky", "road", "car")
    for split, name, image, ids in scenes():
        save(root / f"{split}/img/{name}.jpg", image)
        left, top, right, bottom = (int(side) for side in car_box(ids))
        picture = io.BytesIO()
        Image.fromarray(np.ones((bottom - top, right - left), np.uint8) * 255).save(picture, "PNG")
        packed = base64.b64encode(zlib.compress(picture.getvalue())).decode()
        below = {"exterior": [[0, 12], [31, 12], [31, 23], [0, 23]], "interior": []}
        above = {"exterior": [[0, 0], [31, 11]], "interior": []}
        objects = [
            {"classTitle": "sky", "geometryType": "rectangle", "points": above},
            {"classTitle": "road", "geometryType": "polygon", "points": below},
            {"classTitle": "car", "geometryType": "bitmap",
             "bitmap": {"origin": [left, top], "data": packed}},
        ]  # fmt: skip
        content = {"size": {"height": SIZE[0], "width": SIZE[1]}, "objects": objects}
        save(root / f"{split}/ann/{name}.jpg.json", content)
    classes = [
        {"title": k, "color": "#{:02x}{:02x}{:02x}".format(*c)}
        for k, c in zip(kinds, COLORS, strict=False)
    ]
    save(root / "meta.json", {"classes": classes})
    return expected()


def hub(root: Path) -> Expected:
    from datasets import Dataset, Features
    from datasets import Image as Cell

    masks = {}
    for split, word in (("train", "train"), ("val", "validation")):
        rows = [(image, ids) for s, _, image, ids in scenes() if s == split]
        columns = {
            "image": [Image.fromarray(image) for image, _ in rows],
            "annotation": [Image.fromarray(ids) for _, ids in rows],
        }
        table = Dataset.from_dict(columns, features=Features({name: Cell() for name in columns}))
        (root / "data").mkdir(parents=True, exist_ok=True)
        table.to_parquet(root / f"data/{word}-00000-of-00001.parquet")
        masks |= {(split, f"{i:06d}"): ids for i, (_, ids) in enumerate(rows)}
    save(root / "id2label.json", {"0": "sky", "1": "road", "2": "car"})
    return Expected(("sky", "road", "car"), masks)


def masks(root: Path) -> Expected:
    for split, name, image, ids in scenes():
        save(root / f"{split}_images/{name}_sat.jpg", image)
        save(root / f"{split}_masks/{name}_mask.png", np.array([0, 7, 200], np.uint8)[ids])
    return expected(("class_0", "class_7", "class_200"))


EXPORTS: dict[str, Callable[[Path], Expected]] = {
    build.__name__: build
    for build in (
        kaggle, roboflow, cvat, voc, coco, panoptic, labelme, label_studio, supervisely, hub, masks,
    )
}  # fmt: skip
"""By the name of the format that has to be recognised."""
