"""Splits: what exports call them, and a proposal where they have none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_NAMES = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SPLITS = {spelling: split for split, spellings in _NAMES.items() for spelling in spellings}
"""Usual spellings of splits, in lower case, and the names that are written for them."""

VAL_SHARE = 0.2
_BLOCKS = 20
_SEQUENCES = 5


def usual_split(words: str) -> str:
    """Return train, val or test if a name contains it as a separate word, otherwise "".

    ``instances_val2017`` and ``train-00000-of-00001`` have.
    """
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in SPLITS:
            return SPLITS[word]
    return ""


def propose_splits(names: Sequence[str], share: float = VAL_SHARE) -> tuple[list[str], str]:
    """Divide images without splits into train and val so that neighbours stay together.

    Frames of a video look alike, so that images drawn one by one would leak from one part to
    the other. Names that differ in their last number alone are a sequence: where there are
    five or more, whole ones are held out, evenly spread. Otherwise the images are cut, in the
    order of their numbers, into 20 blocks, of which evenly spread ones are held out.

    Args:
        names: of the images.
        share: share of the images to hold out, to the nearest sequence or block.

    Returns:
        A split for each name, and how it was decided, as a sentence.
    """
    if len(names) < 2:
        return ["train"] * len(names), "only one image, which is trained on; nothing is scored"
    order = sorted(range(len(names)), key=lambda place: _natural(names[place]))
    sequences: dict[str, list[int]] = {}
    for place in order:
        sequences.setdefault(re.sub(r"\d+\D*$", "", names[place]), []).append(place)
    if len(sequences) >= _SEQUENCES and len(sequences) * 2 <= len(names):
        groups, what = list(sequences.values()), "sequences (names that differ in their number)"
    else:
        count = min(_BLOCKS, len(names))
        edges = [block * len(order) // count for block in range(count + 1)]
        groups = [order[a:b] for a, b in pairwise(edges)]
        what = "blocks of neighbouring names" if len(names) > count else "images"
    held = min(len(groups) - 1, max(1, round(share * len(groups))))
    spread = {(2 * place + 1) * len(groups) // (2 * held) for place in range(held)}
    splits = ["train"] * len(names)
    for number, group in enumerate(groups):
        for place in group if number in spread else ():
            splits[place] = "val"
    return splits, (
        f"no splits: {held} of {len(groups)} {what}, evenly spread, are held out as val, "
        f"{splits.count('val')} of {len(names)} images"
    )


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
