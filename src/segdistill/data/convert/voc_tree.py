"""The tree that Pascal VOC, CVAT and labelme2voc share: images, masks and lists by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdistill.data.convert.export import Export
from segdistill.data.convert.pairing import Match, Pairing
from segdistill.data.convert.splits import usual_split
from segdistill.data.files.text import read_text

IMAGES = "JPEGImages"
MASKS = ("SegmentationClass", "SegmentationClassPNG")
_LISTS = ("ImageSets", "Segmentation")


def has_masks(export: Export) -> str:
    """Return the folder of masks, or "" if there is none with images in it."""
    folders = {part for file in export.images for part in file.parts[:-1]}
    return next((name for name in reversed(MASKS) if name in folders), "")


def pair_tree(export: Export) -> Pairing:
    """Pair the masks of a tree with its images, by the names that lists and folders share.

    Lists named train, val or test decide the splits; what is in no such list has none. Masks
    without an image of their name in ``JPEGImages`` take one from anywhere else.
    """
    masks = {_below(file, (has_masks(export),)): file for file in export.images if _in(file, MASKS)}
    images: dict[str, Path] = {}
    for file in export.images:
        if not _in(file, (*MASKS, "SegmentationObject", "SegmentationClassVisualization")):
            images.setdefault(_below(file, (IMAGES,)), file)
    splits = _read_lists(export)
    shared = sorted(masks.keys() & images.keys(), key=lambda name: (splits.get(name, ""), name))
    matches = tuple(Match(n, splits.get(n, ""), images[n], masks[n]) for n in shared)
    # Trees of VOC have more images than masks; only a mask without an image is at fault.
    alone = tuple(masks[name] for name in sorted(masks.keys() - images.keys()))
    return Pairing(matches, (), alone, ())


def _read_lists(export: Export) -> dict[str, str]:
    splits = {}
    for file in export.of(".txt"):
        if file.parts[-3:-1] == _LISTS and (split := usual_split(file.stem)):
            for line in read_text(export.root / file).splitlines():
                if line.strip():
                    splits[Path(line.split()[0]).with_suffix("").as_posix()] = split
                    splits[line.strip()] = split
    return splits


def _in(file: Path, folders: Sequence[str]) -> bool:
    return any(part in folders for part in file.parts[:-1])


def _below(file: Path, folders: Sequence[str]) -> str:
    """Return a path below one of these folders, without extension."""
    parts = file.with_suffix("").parts
    places = [place for place, part in enumerate(parts[:-1]) if part in folders]
    return "/".join(parts[places[0] + 1 :] if places else parts[-1:])
