"""Why images and masks do not pair by name: what their names have in common, and what to set."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# Suffixes that name masks and images but are not searched for, or not as both.
_UNREAD = {
    ".npy": "NumPy arrays", ".npz": "NumPy arrays", ".heic": "HEIC photos", ".heif": "HEIC photos",
    ".json": "JSON annotations", ".xml": "XML annotations", ".txt": "texts", ".mat": "MATLAB files",
    ".nii": "NIfTI volumes", ".dcm": "DICOM files", ".exr": "OpenEXR files", ".jxl": "JPEG XL",
    ".psd": "Photoshop files", ".svg": "drawings", ".zip": "archives", ".gz": "archives",
    ".mp4": "videos", ".avi": "videos", ".mov": "videos", ".dng": "raw photos",
}  # fmt: skip
_MOST_COMPARED = 500


def near_matches(images: Iterable[str], masks: Iterable[str], *, settable: bool) -> str:
    """Return how names of images and masks that have no partner could be meant to pair.

    Args:
        images: names, without extension, of images that have no mask.
        masks: names of masks that have no image, likewise.
        settable: whether ``data.image_suffix`` and ``data.mask_suffix`` can be set.

    Returns:
        A sentence of advice, empty if the names have nothing in common.
    """
    first, second = sorted(images)[:_MOST_COMPARED], sorted(masks)[:_MOST_COMPARED]
    if not first or not second:
        return ""
    for same, words in (
        (_nfc, "their Unicode form (NFC and NFD)"),
        (_folded, "upper and lower case"),
        (_unpadded, "the zeros before a number"),
    ):
        by_key = {same(name): name for name in second}
        pairs = [(name, by_key[same(name)]) for name in first if same(name) in by_key]
        if pairs:
            image, mask = pairs[0]
            return (
                f"{len(pairs)} differ from a mask's name only in {words}, such as {image!r} and "
                f"{mask!r}: rename one of the two"
            )
    endings = Counter(
        ends for image in first if (ends := _endings(image, second)) is not None
    ).most_common(1)
    if endings and 2 * endings[0][1] >= len(first):
        (image_end, mask_end), count = endings[0]
        keys = [("image_suffix", image_end), ("mask_suffix", mask_end)]
        set_ = " ".join(f"data.{key}={end}" for key, end in keys if end)
        where = " and ".join(
            f"{what} end in {end!r}"
            for what, end in (("images", image_end), ("masks", mask_end))
            if end
        )
        advice = set_ if settable else "rename them, or read them with data.dataset=folder or list"
        return f"{count} would pair where {where}: {'set ' if settable else ''}{advice}"
    return ""


def other_files(folder: Path) -> str:
    """Return which files of known kinds, none of them read, are below a folder."""
    names = [name for _, _, files in os.walk(folder) for name in files]
    kinds = Counter(_UNREAD[s] for n in names if (s := Path(n).suffix.lower()) in _UNREAD)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))


def _endings(image: str, masks: list[str]) -> tuple[str, str] | None:
    """Return the endings of an image's and a mask's name after the longest common start.

    The start has to end where a word ends, so that ``p1`` is no start of ``p10``.
    """
    best: tuple[int, str, str] | None = None
    for mask in masks:
        common = _common_start(image, mask)
        while common and not (_ends_word(image, common) and _ends_word(mask, common)):
            common -= 1
        if common and (best is None or common > best[0]):
            best = common, image[common:], mask[common:]
    # 'img_1' and 'img_2' share no name: a rest tells a kind of file, and is no number.
    return best[1:] if best and _is_kind(best[1]) and _is_kind(best[2]) else None


def _common_start(first: str, second: str) -> int:
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))


def _is_kind(ending: str) -> bool:
    """Return whether an ending tells a kind of file, such as ``_leftImg8bit``, and no number."""
    return not ending or any(mark.isalpha() for mark in ending)


def _ends_word(name: str, end: int) -> bool:
    return end == len(name) or name[end] in "_-. "


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _unpadded(name: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", _folded(name))


def _folded(name: str) -> str:
    return _nfc(name).casefold()
