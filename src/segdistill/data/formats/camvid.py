"""CamVid: road scenes of Cambridge, in split folders or as its authors give it."""

from __future__ import annotations

from pathlib import Path

from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.labels import ColorCode, IdCode
from segdistill.data.files.matching import Pair, find_layout, match_names
from segdistill.data.files.text import read_text
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes

CLASSES = Classes(
    names=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign symbol",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    colors=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (0, 0, 192),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
)

_VOID = 11

# label_colors.txt of the data's authors; which class takes which: SegNet-Tutorial.
_MERGED: dict[str, tuple[tuple[int, int, int], ...]] = {
    "sky": ((128, 128, 128),),
    # Building, Archway, Bridge, Tunnel, Wall
    "building": ((128, 0, 0), (192, 0, 128), (0, 128, 64), (64, 0, 64), (64, 192, 0)),
    # Column_Pole, TrafficCone
    "pole": ((192, 192, 128), (0, 0, 64)),
    # Road, LaneMkgsDriv, LaneMkgsNonDriv
    "road": ((128, 64, 128), (128, 0, 192), (192, 0, 64)),
    # Sidewalk, ParkingBlock, RoadShoulder
    "pavement": ((0, 0, 192), (64, 192, 128), (128, 128, 192)),
    # Tree, VegetationMisc
    "tree": ((128, 128, 0), (192, 192, 0)),
    # SignSymbol, Misc_Text, TrafficLight
    "sign symbol": ((192, 128, 128), (128, 128, 64), (0, 64, 64)),
    "fence": ((64, 64, 128),),
    # Car, SUVPickupTruck, Truck_Bus, Train, OtherMoving
    "car": ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),
    # Pedestrian, Child, CartLuggagePram, Animal
    "pedestrian": ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),
    # Bicyclist, MotorcycleScooter
    "bicyclist": ((0, 128, 192), (192, 0, 192)),
}


def camvid(*, split: str, root: Path) -> FileDataset:
    """Read a split of CamVid in either layout that is handed around.

    The SegNet tutorial's: images in ``<split>/`` and masks, with values 0 to 10 and 11 for
    void, in ``<split>annot/``; where ``<split>.txt`` exists, its lines are an image and a
    mask each, relative to the root, otherwise files pair by name. The authors': all images
    in ``701_StillsRaw_full/`` and masks in the colours of 32 classes, which are merged into
    11, in ``LabeledApproved_full/``; the split follows from the file's name.

    Args:
        split: ``train``, ``val`` or ``test``.
        root: the folder that contains those folders.

    Returns:
        The split with 11 classes; void is 255.

    Raises:
        DataError: the folder or files are missing or do not match; all are named.

    Source:
        Brostow, Fauqueur and Cipolla, "Semantic object classes in video", Pattern
        Recognition Letters 2009. The 11 classes, their order and the splits:
        alexgkendall's SegNet-Tutorial.
    """
    root = Path(root)
    full = ("701_StillsRaw_full", "LabeledApproved_full")
    layout = find_layout("camvid", root, (split, f"{split}annot"), full)
    if layout == full:
        pairs = [p for p in match_names(root, *full, mask_suffix="_L") if split_of(p.name) == split]
        trains = {color: i for i, colors in enumerate(_MERGED.values()) for color in colors}
        return FileDataset(root, pairs, CLASSES, ColorCode({**trains, (0, 0, 0): IGNORE_INDEX}))
    code = IdCode({**{i: i for i in range(len(CLASSES))}, _VOID: IGNORE_INDEX, 255: IGNORE_INDEX})
    listing = root / f"{split}.txt"
    pairs = _listed(root, listing) if listing.is_file() else match_names(root, *layout)
    return FileDataset(root, pairs, CLASSES, code)


def split_of(name: str) -> str:
    """Return the split of a frame by its name, such as ``0016E5_07959``.

    Source:
        The train, val and test lists of alexgkendall's SegNet-Tutorial.
    """
    sequence, _, frame = name.partition("_")
    number = int("".join(digit for digit in frame if digit.isdigit()) or 0)
    if sequence == "Seq05VD" or (sequence == "0001TP" and number > 8520):
        return "test"
    return "val" if sequence == "0016E5" and 7959 <= number <= 8159 else "train"


def _listed(root: Path, listing: Path) -> list[Pair]:
    pairs = []
    for number, line in enumerate(read_text(listing).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2:
            raise DataError(
                f"{listing}:{number}: expected an image and a mask, got {line!r}; correct the line"
            )
        # Lists that are handed around start with the author's own folder; ours is the root.
        image, mask = (_below(root, word) for word in words)
        pairs.append(Pair(Path(image).stem, image, mask))
    return pairs


def _below(root: Path, word: str) -> str:
    if (root / word).exists() or not word.startswith("/"):
        return word
    return "/".join(word.split("/")[-2:])
