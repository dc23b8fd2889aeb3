"""Pascal VOC 2012, with the additional masks of SBD: 20 objects and the background."""

from __future__ import annotations

import os
from pathlib import Path

from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.labels import plain_ids
from segdistill.data.files.matching import Pair, find_layout
from segdistill.data.files.palettes import voc_colors
from segdistill.data.files.text import read_text
from segdistill.errors import DataError
from segdistill.types import Classes

CLASSES = Classes(
    (
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat",
        "chair", "cow", "dining table", "dog", "horse", "motorbike", "person",
        "potted plant", "sheep", "sofa", "train", "tv monitor",
    ),
    voc_colors(21),
)  # fmt: skip


def voc(*, split: str, root: Path, sbd: Path | None = None) -> FileDataset:
    """Read a split of Pascal VOC 2012 in its official layout.

    Images are ``JPEGImages/*.jpg``, masks ``SegmentationClass/*.png`` (palette files: 0 the
    background, 1 to 20 objects, 255 borders), names in ``ImageSets/Segmentation``.

    ``trainaug`` is the usual training set of 10 582: VOC's train, and every image of SBD
    that is not in VOC's val. SBD's own masks are ``cls/*.mat`` in its folder ``dataset``;
    where VOC has a mask, that one is read. Where ``SegmentationClassAug/`` and
    ``trainaug.txt`` exist instead, as converted copies have them, those are read.

    Args:
        split: ``train``, ``val``, ``trainval``, ``trainaug``, or ``test`` (no masks).
        root: the folder ``VOCdevkit/VOC2012``.
        sbd: the folder ``benchmark_RELEASE/dataset`` of SBD, for ``trainaug``.

    Returns:
        The split with 21 classes.

    Raises:
        DataError: the folders, lists or files are missing; all are named.

    Source:
        Everingham et al., "The Pascal Visual Object Classes Challenge", IJCV 2010;
        Hariharan et al., "Semantic Contours from Inverse Detectors", ICCV 2011 (SBD).
    """
    root = Path(root)
    find_layout("voc", root, ("JPEGImages", "ImageSets/Segmentation"))
    lists = root / "ImageSets" / "Segmentation"
    if split != "trainaug":
        folder = None if split == "test" else "SegmentationClass"
        pairs = [_pair(name, folder) for name in read_names(lists / f"{split}.txt")]
    elif sbd is not None:
        pairs = _with_sbd(root, lists, Path(sbd))
    else:
        find_layout("voc trainaug without data.sbd", root, ("SegmentationClassAug",))
        pairs = [_pair(n, "SegmentationClassAug") for n in read_names(lists / "trainaug.txt")]
    return FileDataset(root, pairs, CLASSES, plain_ids(len(CLASSES)))


def read_names(listing: Path) -> list[str]:
    """Read a list of names, one per line; what follows a space is ignored.

    Raises:
        DataError: there is no such list.
    """
    if not listing.is_file():
        others = ", ".join(sorted(path.stem for path in listing.parent.glob("*.txt"))) or "none"
        raise DataError(f"{listing}: expected a list of names, got nothing; lists here: {others}")
    lines = read_text(listing).splitlines()
    return [Path(line.split()[0]).stem for line in lines if line.strip()]


def _pair(name: str, folder: str | None) -> Pair:
    mask = None if folder is None else f"{folder}/{name}.png"
    return Pair(name, f"JPEGImages/{name}.jpg", mask)


def _with_sbd(root: Path, lists: Path, sbd: Path) -> list[Pair]:
    find_layout("voc", sbd, ("cls", "train.txt", "val.txt"), key="sbd")
    own = read_names(lists / "train.txt")
    held_out = set(read_names(lists / "val.txt"))
    more = {name for part in ("train", "val") for name in read_names(sbd / f"{part}.txt")}
    # Relative to VOC's root like all paths of the dataset, also when it lies elsewhere.
    folder = Path(os.path.relpath(sbd / "cls", root)).as_posix()
    added = sorted(more - held_out - set(own))
    return [
        *(_pair(name, "SegmentationClass") for name in own),
        *(Pair(n, f"JPEGImages/{n}.jpg", f"{folder}/{n}.mat") for n in added),
    ]
