"""How a config reads a surveyed folder: as ``folder``, or as a ``list`` file next to it."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdistill.data.convert.export import Export
from segdistill.data.convert.pairing import Match
from segdistill.data.convert.splits import VAL_SHARE, propose_splits
from segdistill.data.files.matching import match_names
from segdistill.data.survey import Survey
from segdistill.errors import DataError


@dataclass(frozen=True)
class Plan:
    """How the config reads the folder.

    Attributes:
        data: keys under ``data``.
        split: that is scored.
        counts: images by split.
        how: a sentence on the splits.
        layout: a phrase on the folders.
    """

    data: Mapping[str, Any]
    split: str
    counts: Mapping[str, int]
    how: str
    layout: str


def plan_folder(export: Export, seen: Survey, classes: str) -> Plan | None:
    """Return how ``dataset: folder`` reads the folder, or None if it cannot.

    Args:
        export: the folder.
        seen: its contents.
        classes: what ``data.classes`` will be.
    """
    for nested in (True, False):
        parts = [_parts(match, nested) for match in seen.matches]
        kinds = {(images, masks) for images, masks, _ in parts}
        if len(kinds) != 1 or ("", "") in kinds:
            continue
        ((images, masks),) = kinds
        folders = {p[2]: match.split for p, match in zip(parts, seen.matches, strict=True)}
        train = [folder for folder, split in folders.items() if split == "train"]
        val = [folder for folder, split in folders.items() if split == "val"]
        if len(train) != 1 or len(val) > 1:
            continue
        data: dict[str, Any] = {"dataset": "folder", "root": str(export.root)}
        data |= {"classes": classes} if classes != "classes.txt" else {}
        data |= {"binary": True} if seen.is_binary else {}
        data |= {"images": images} if images != "images" else {}
        data |= {"masks": masks} if masks != "masks" else {}
        try:
            counts = {
                name: len(match_names(export.root, *_folders(images, masks, name, nested)))
                for name in folders
            }
        except DataError:
            continue
        layout = (
            f"SPLIT/{images} and SPLIT/{masks}" if nested else f"{images}/SPLIT and {masks}/SPLIT"
        )
        if train != ["train"]:
            data["train_split"] = train[0]
        if val:
            return Plan(data, val[0], counts, "splits are those of the folders", layout)
        data["holdout"] = _holdout(counts[train[0]])
        how = "no val: blocks of neighbouring training images are held out (data.holdout)"
        return Plan(data, "holdout", counts, how, layout)
    return None


def _folders(images: str, masks: str, split: str, nested: bool) -> tuple[str, str]:
    if nested:
        return f"{split}/{images}", f"{split}/{masks}"
    return f"{images}/{split}", f"{masks}/{split}"


def _parts(match: Match, nested: bool) -> tuple[str, str, str]:
    """Return the folders of images and masks and that of the split, or empty words."""
    image, mask = match.image.parts, match.mask.parts
    split, kind = (0, 1) if nested else (1, 0)
    same = image[2:-1] == mask[2:-1] and match.image.stem == match.mask.stem
    if min(len(image), len(mask)) < 3 or image[split] != mask[split] or not same or not match.split:
        return "", "", ""
    return image[kind], mask[kind], image[split]


def plan_list(export: Export, seen: Survey, file: Path, classes: str) -> tuple[Plan, str]:
    """Return how ``dataset: list`` reads the folder, and the list's text.

    Args:
        export: the folder.
        seen: its contents.
        file: where the list will be.
        classes: what ``data.classes`` will be.

    Raises:
        DataError: there is but one image.
    """
    given = [match.split for match in seen.matches]
    splits = [split or "train" for split in given]
    how = "splits are those of the folders"
    unscored = "train" in splits and "val" not in splits
    if unscored or "train" not in splits:
        free = (
            [i for i, split in enumerate(splits) if split == "train"]
            if unscored
            else range(len(splits))
        )
        proposed, how = propose_splits([seen.matches[i].name for i in free])
        for place, split in zip(free, proposed, strict=True):
            splits[place] = split
    if "val" not in splits:
        raise DataError(
            f"{export.root}: expected at least two images with masks, one to train on and one to "
            "score, got one"
        )
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", "mask", "split", "name"])
    for match, split in zip(seen.matches, splits, strict=True):
        name = f"{match.split}/{match.name}" if match.split else match.name
        table.writerow([match.image.as_posix(), match.mask.as_posix(), split, name])
    data: dict[str, Any] = {
        "dataset": "list",
        "root": str(export.root),
        "file": relative_to_root(file, export.root),
    }
    data |= {"classes": classes} if classes != "classes.txt" else {}
    data |= {"binary": True} if seen.is_binary else {}
    first = seen.matches[0]
    layout = f"{first.image} with {first.mask}, and so on"
    return Plan(data, "val", Counter(splits), how, layout), text.getvalue()


def relative_to_root(file: Path, root: Path) -> str:
    """Return a path from the root, as ``data.file`` and ``data.classes`` are read."""
    return Path(os.path.relpath(file.resolve(), root.resolve())).as_posix()


def _holdout(images: int) -> float:
    """Return a share of which at least one block of images is held out."""
    return VAL_SHARE if round(VAL_SHARE * min(20, images)) else round(1 / max(2, images), 2)
