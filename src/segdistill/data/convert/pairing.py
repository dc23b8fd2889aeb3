"""Which image belongs to which mask, by the ways in which people name them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Literal, NamedTuple

from segdistill.data.convert.splits import SPLITS
from segdistill.data.files.reading import IMAGE_SUFFIXES

Kind = Literal["image", "mask", ""]

_IMAGES = (
    "leftimg8bit", "jpegimages", "originals", "original", "pictures", "picture", "photos",
    "photo", "frames", "images", "image", "inputs", "input", "imgs", "img", "rgb", "raw",
)  # fmt: skip
_MASKS = (
    "segmentationclasspng", "segmentationclass", "segmentations", "segmentation", "groundtruth",
    "ground_truth", "masks_machine", "annotations", "annotation", "labelids", "gtfine", "targets",
    "target", "labels", "label", "masks", "mask", "annot", "anns", "ann", "gt",
)  # fmt: skip
_LEADING = ("images", "masks", "labels", "annotations")  # site 1: masks_site1
_ALL = "|".join((*_IMAGES, *_MASKS))
_FOLDER = re.compile(rf"(?P<before>.*?)[ _-]?(?P<word>{_ALL})(?:[ _-](?P<after>.+))?")
_MASK_ENDS = re.compile(
    r"[ ._-](masks?|labels?|gt|seg|segmentation|anno|annotation|annot|ground_?truth|"
    r"gtfine_label(?:train)?ids|label(?:train)?ids)$"
)
_IMAGE_ENDS = re.compile(r"[ ._-](leftimg8bit|images?|img|rgb|sat)$")


class Match(NamedTuple):
    """An image and its mask, relative to the export's root.

    Attributes:
        name: path below the folder of its split, without extension.
        split: train, val, test, or empty if no folder says so.
        image: the image.
        mask: its mask.
    """

    name: str
    split: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Pairing:
    """What belongs together among many files.

    Attributes:
        matches: images with masks, by split and name.
        images_alone: images without a mask.
        masks_alone: masks without an image.
        doubles: files of which one name has several.
    """

    matches: tuple[Match, ...]
    images_alone: tuple[Path, ...]
    masks_alone: tuple[Path, ...]
    doubles: tuple[Path, ...]


class _File(NamedTuple):
    kind: Kind
    split: str
    name: str
    path: Path


def pair_files(files: Iterable[Path]) -> Pairing:
    """Pair images with masks by their paths.

    A file is a mask where a folder or the end of its name says so (``masks``, ``train_labels``,
    ``trainannot``, ``_mask``, ``_L``); those words, and those that say image, are no part of the
    name that both share. Without any such sign, a PNG next to a JPEG of the same name is its mask.

    Args:
        files: image files, relative to a root.
    """
    by_name: dict[tuple[str, str], list[_File]] = {}
    for path in files:
        file = _understand(path)
        key = unicodedata.normalize("NFC", file.name).casefold()
        by_name.setdefault((file.split, key), []).append(file)
    matches, images_alone, masks_alone, doubles = [], list[Path](), list[Path](), list[Path]()
    for group in by_name.values():
        images, masks = _sides(group)
        if len(images) > 1 or len(masks) > 1:
            doubles += [file.path for file in (*images, *masks)]
        elif images and masks:
            image, mask = images[0], masks[0]
            matches.append(Match(image.name, image.split, image.path, mask.path))
        else:
            images_alone += [file.path for file in images]
            masks_alone += [file.path for file in masks]
    matches.sort(key=lambda match: (match.split, match.name))
    return Pairing(
        _without_shared_folders(matches), tuple(images_alone), tuple(masks_alone), tuple(doubles)
    )


def _without_shared_folders(matches: list[Match]) -> tuple[Match, ...]:
    """Return matches whose names leave out the folders that all of them are in."""
    folders = [match.name.split("/")[:-1] for match in matches]
    same = (len(set(level)) == 1 for level in zip(*folders, strict=False))
    shared = sum(1 for _ in takewhile(bool, same))
    return tuple(m._replace(name="/".join(m.name.split("/")[shared:])) for m in matches)


def _sides(group: list[_File]) -> tuple[list[_File], list[_File]]:
    masks = [file for file in group if file.kind == "mask"]
    images = [file for file in group if file.kind != "mask"]
    if not masks and len(images) == 2:
        jpegs = [file for file in images if file.path.suffix.lower() in (".jpg", ".jpeg")]
        if len(jpegs) == 1:
            return jpegs, [file for file in images if file not in jpegs]
    return images, masks


def _understand(path: Path) -> _File:
    kind: Kind = ""
    split, kept = "", []
    for part in path.parent.parts:
        lower = part.lower()
        match = _FOLDER.fullmatch(lower)
        word = match["word"] if match else None
        rest = " ".join(filter(None, (match["before"], match["after"]))) if match else lower
        # In "simg" or "label maker" the letters are no word of ours.
        leads = bool(match and match["after"]) and word not in _LEADING
        if word and (not rest or rest in SPLITS or (len(word) > 3 and not leads)):
            kind = "mask" if word in _MASKS or kind == "mask" else "image"
        else:
            rest = part
        if rest.lower() in SPLITS and not split:
            split = SPLITS[rest.lower()]
        elif rest:
            kept.append(rest)
    stem = path.stem
    while Path(stem).suffix.lower() in IMAGE_SUFFIXES:  # a.jpg.png
        stem = Path(stem).stem
    kind, stem = _understand_stem(stem, kind)
    return _File(kind, split, "/".join([*kept, stem]), path)


def _understand_stem(stem: str, kind: Kind) -> tuple[Kind, str]:
    if stem.endswith("_L"):  # as CamVid's authors named them
        return "mask", stem[:-2]
    if kind != "image" and (match := _MASK_ENDS.search(stem.lower())):
        return "mask", stem[: match.start()]
    if kind != "mask" and (match := _IMAGE_ENDS.search(stem.lower())):
        return "image", stem[: match.start()]
    return kind, stem
