"""ADE20K: indoor and outdoor scenes, the 150 classes of the 2016 scene-parsing challenge."""

from __future__ import annotations

from pathlib import Path

from segdistill.data.files import FileDataset, Pair, files_by_name, find_layout, match_names
from segdistill.data.labels import IdCode
from segdistill.data.palettes import distinct_colors
from segdistill.types import IGNORE_INDEX, Classes

NAMES = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass",
    "cabinet", "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain",
    "chair", "car", "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug",
    "field", "armchair", "seat", "fence", "desk", "rock", "wardrobe", "lamp", "bathtub",
    "railing", "cushion", "base", "box", "column", "signboard", "chest of drawers", "counter",
    "sand", "sink", "skyscraper", "fireplace", "refrigerator", "grandstand", "path", "stairs",
    "runway", "case", "pool table", "pillow", "screen door", "stairway", "river", "bridge",
    "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench",
    "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar",
    "arcade machine", "hovel", "bus", "towel", "light", "truck", "tower", "chandelier", "awning",
    "streetlight", "booth", "television receiver", "airplane", "dirt track", "apparel", "pole",
    "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster", "stage", "van",
    "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool",
    "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball",
    "food", "step", "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake",
    "dishwasher", "screen", "blanket", "sculpture", "hood", "sconce", "vase", "traffic light",
    "tray", "ashcan", "fan", "pier", "crt screen", "plate", "monitor", "bulletin board", "shower",
    "radiator", "glass", "clock", "flag",
)  # fmt: skip

CLASSES = Classes(NAMES, distinct_colors(len(NAMES)))

_FOLDERS = {"train": "training", "val": "validation"}


def ade20k(*, split: str, root: Path) -> FileDataset:
    """Read a split of ADE20K in the layout of ``ADEChallengeData2016.zip``.

    Images are ``images/training/*.jpg``, masks ``annotations/training/*.png``. Value 0,
    "other objects", has no class; 1 to 150 become train ids 0 to 149.

    Args:
        split: ``train``, ``val``, or ``test`` (``images/testing``, no masks).
        root: the folder ``ADEChallengeData2016``.

    Returns:
        The split with 150 classes.

    Raises:
        DataError: the folders or files are missing or do not match; all are named.

    Source:
        Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017; names from the
        challenge's ``objectInfo150.txt``.
    """
    root = Path(root)
    code = IdCode({0: IGNORE_INDEX, **{value + 1: value for value in range(len(NAMES))}})
    if split == "test":
        (images,) = find_layout("ade20k", root, ("images/testing",), ("testing",))
        found = files_by_name(root, images)
        return FileDataset(root, [Pair(n, f, None) for n, f in found.items()], CLASSES, code)
    folder = _FOLDERS.get(split, split)
    images, masks = find_layout("ade20k", root, (f"images/{folder}", f"annotations/{folder}"))
    return FileDataset(root, match_names(root, images, masks), CLASSES, code)
