"""Pascal Context: whole-scene labels for VOC 2010, 59 classes with or without background."""

from __future__ import annotations

from pathlib import Path

from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.labels import IdCode
from segdistill.data.files.matching import Pair, find_layout
from segdistill.data.files.palettes import voc_colors
from segdistill.data.files.text import read_text
from segdistill.data.formats.voc import read_names
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes

NAMES = (
    "aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat", "book",
    "bottle", "building", "bus", "cabinet", "car", "cat", "ceiling", "chair", "cloth",
    "computer", "cow", "cup", "curtain", "dog", "door", "fence", "floor", "flower", "food",
    "grass", "ground", "horse", "keyboard", "light", "motorbike", "mountain", "mouse",
    "person", "plate", "platform", "pottedplant", "road", "rock", "sheep", "shelves",
    "sidewalk", "sign", "sky", "snow", "sofa", "table", "track", "train", "tree", "truck",
    "tvmonitor", "wall", "water", "window", "wood",
)  # fmt: skip

_LARGEST = 65535  # masks are 16-bit

CLASSES = Classes(("background", *NAMES), voc_colors(len(NAMES) + 1))


def pascal_context(*, split: str, root: Path, background: bool = True) -> FileDataset:
    """Read a split of Pascal Context.

    The authors' masks are ``trainval/*.mat`` with 459 labels, named in ``labels.txt``; those
    of the 59 most frequent become classes by their names, the rest is background. Where
    ``SegmentationClassContext/*.png`` exists, as the detail API writes it (0 background, 1
    to 59 in alphabetical order), those are read. Images are ``JPEGImages/*.jpg`` of
    VOC 2010; the names of a split are in ``ImageSets/SegmentationContext`` or, as in the
    original, ``ImageSets/Main``.

    Args:
        split: ``train`` or ``val``.
        root: the folder ``VOCdevkit/VOC2010``, with the masks inside.
        background: class 0 is the background (60 classes); without, it is 255 (59).

    Returns:
        The split; only images that have a mask.

    Raises:
        DataError: the folders, lists or files are missing; all are named.

    Source:
        Mottaghi et al., "The Role of Context for Object Detection and Semantic
        Segmentation in the Wild", CVPR 2014.
    """
    root = Path(root)
    png, mat = ("JPEGImages", "SegmentationClassContext"), ("JPEGImages", "trainval", "labels.txt")
    layout = find_layout("pascal_context", root, png, mat)
    first = 1 if background else 0
    classes = CLASSES if background else Classes(CLASSES.names[1:], CLASSES.colors[1:])
    rest = 0 if background else IGNORE_INDEX
    if layout == png:
        code = IdCode({0: rest, **{i + 1: i + first for i in range(len(NAMES))}, 255: IGNORE_INDEX})
    else:
        code = IdCode(_by_label(root / "labels.txt", first, rest))
    folder, suffix = (png[1], ".png") if layout == png else ("trainval", ".mat")
    pairs = [
        Pair(name, f"JPEGImages/{name}.jpg", f"{folder}/{name}{suffix}")
        for name in read_names(_find_list(root, split))
        # VOC's own lists also name images that were never labelled.
        if (root / folder / f"{name}{suffix}").exists()
    ]
    return FileDataset(root, pairs, classes, code)


def _find_list(root: Path, split: str) -> Path:
    context = root / "ImageSets" / "SegmentationContext" / f"{split}.txt"
    return context if context.is_file() else root / "ImageSets" / "Main" / f"{split}.txt"


def _by_label(file: Path, first: int, rest: int) -> dict[int, int]:
    ids = {0: rest}
    named = set()
    for line in read_text(file).splitlines():
        number, _, name = line.partition(":")
        if name:
            name = name.strip()
            if not number.strip().isdecimal() or int(number) > _LARGEST:
                raise DataError(f"{file}: expected lines like 2: aeroplane, got {line!r}")
            ids[int(number)] = NAMES.index(name) + first if name in NAMES else rest
            named.add(name)
    missing = [name for name in NAMES if name not in named]
    if missing:
        raise DataError(
            f"{file}: expected the names of 59 classes, got none of {', '.join(missing)}; "
            "copy the authors' file again"
        )
    return ids
