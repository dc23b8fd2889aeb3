"""COCO-Stuff: things and stuff of COCO, 171 classes."""

from __future__ import annotations

from pathlib import Path

from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.labels import IdCode
from segdistill.data.files.matching import Pair, find_layout, match_names
from segdistill.data.files.palettes import distinct_colors
from segdistill.data.formats.voc import read_names
from segdistill.types import IGNORE_INDEX, Classes

NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush", "banner", "blanket",
    "branch", "bridge", "building-other", "bush", "cabinet", "cage", "cardboard", "carpet",
    "ceiling-other", "ceiling-tile", "cloth", "clothes", "clouds", "counter", "cupboard",
    "curtain", "desk-stuff", "dirt", "door-stuff", "fence", "floor-marble", "floor-other",
    "floor-stone", "floor-tile", "floor-wood", "flower", "fog", "food-other", "fruit",
    "furniture-other", "grass", "gravel", "ground-other", "hill", "house", "leaves", "light",
    "mat", "metal", "mirror-stuff", "moss", "mountain", "mud", "napkin", "net", "paper",
    "pavement", "pillow", "plant-other", "plastic", "platform", "playingfield", "railing",
    "railroad", "river", "road", "rock", "roof", "rug", "salad", "sand", "sea", "shelf",
    "sky-other", "skyscraper", "snow", "solid-other", "stairs", "stone", "straw",
    "structural-other", "table", "tent", "textile-other", "towel", "tree", "vegetable",
    "wall-brick", "wall-concrete", "wall-other", "wall-panel", "wall-stone", "wall-tile",
    "wall-wood", "water-other", "waterdrops", "window-blind", "window-other", "wood",
)  # fmt: skip

# Of the 182 ids of COCO these 11 things were never labelled: cocostuff labels.txt against
# the 80 things of COCO's instances (street sign, hat, shoe, eye glasses, plate, mirror,
# window, desk, door, blender, hair brush).
_UNUSED = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91})

CLASSES = Classes(NAMES, distinct_colors(len(NAMES)))


def coco_stuff(*, split: str, root: Path) -> FileDataset:
    """Read a split of COCO-Stuff, the 164k images or the earlier 10k.

    Of 164k, images are ``images/train2017/*.jpg`` or ``train2017/*.jpg``, masks of the same
    names ``stuffthingmaps/train2017/*.png`` or ``annotations/train2017/*.png``; a pixel's value
    is its COCO id less one, 255 has no class. Of 10k (version 1.1), all images are in
    ``images/``, masks in ``annotations/*.mat``, whose ``S`` holds COCO ids and 0 for no class,
    and names in ``imageLists/train.txt`` and ``test.txt``; that test list has masks, and is
    ``val`` as well. Flat folders with masks ``annotations/*.png`` have the values of 164k. The
    171 ids in use become train ids in their order.

    Args:
        split: ``train`` or ``val``; of 10k also ``test``.
        root: the folder that contains those folders.

    Returns:
        The split with 171 classes.

    Raises:
        DataError: the folders or files are missing or do not match; all are named.

    Source:
        Caesar, Uijlings and Ferrari, "COCO-Stuff: Thing and Stuff Classes in Context", CVPR
        2018, arXiv:1612.03716; ids and names from nightrome/cocostuff ``labels.txt``, the
        layout of 10k from nightrome/cocostuff10k.
    """
    root = Path(root)
    folder = {"train": "train2017", "val": "val2017"}.get(split, split)
    layouts = [
        (f"{images}{folder}", f"{masks}/{folder}")
        for images in ("images/", "")
        for masks in ("stuffthingmaps", "annotations")
    ]
    # An own val list goes before the test list of the authors.
    names = {"val": ("val", "test")}.get(split, (split,))
    flat = [("images", "annotations", f"imageLists/{name}.txt") for name in names]
    layout = find_layout("coco_stuff", root, *layouts, *flat)
    if layout in flat:
        listed = read_names(root / layout[2])
        # One kind for all: the two store different numbers.
        converted = any((root / f"annotations/{name}.png").exists() for name in listed[:1])
        suffix = "png" if converted else "mat"
        pairs = [Pair(n, f"images/{n}.jpg", f"annotations/{n}.{suffix}") for n in listed]
        return FileDataset(root, pairs, CLASSES, _code(first=0 if converted else 1))
    return FileDataset(root, match_names(root, *layout), CLASSES, _code(first=0))


def _code(first: int) -> IdCode:
    """Return what values mean where COCO's first id is stored as ``first``."""
    used = [coco for coco in range(1, 183) if coco not in _UNUSED]
    ignored = IGNORE_INDEX if first == 0 else 0
    return IdCode({**{coco - 1 + first: i for i, coco in enumerate(used)}, ignored: IGNORE_INDEX})
