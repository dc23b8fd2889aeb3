"""Cityscapes: street scenes of 50 cities, 19 classes, fine and coarse masks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.labels import IdCode, plain_ids
from segdistill.data.files.matching import Pair, files_by_name, find_layout, match_names
from segdistill.errors import DataError
from segdistill.types import IGNORE_INDEX, Classes

# Name, id in the files, colour: cityscapesscripts/helpers/labels.py, where trainId < 19.
_LABELS: tuple[tuple[str, int, tuple[int, int, int]], ...] = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)

CLASSES = Classes(tuple(row[0] for row in _LABELS), tuple(row[2] for row in _LABELS))

_TRAIN_IDS = "labelTrainIds"  # what cityscapesScripts' createTrainIdLabelImgs writes
LABEL_IDS = tuple(row[1] for row in _LABELS)
"""Id in the files, and on the test server, of each train id."""


def cityscapes(
    *, split: str, root: Path, annotation: Literal["fine", "coarse", "finest"] = "fine"
) -> FileDataset:
    """Read a split of Cityscapes in its official layout.

    Images are ``leftImg8bit/<split>/<city>/*_leftImg8bit.png``, masks
    ``gtFine/<split>/<city>/*_gtFine_labelIds.png`` or ``gtCoarse/...``. The 34 label ids
    become 19 train ids, the others 255. A copy that has ``*_labelTrainIds.png`` alone is read
    too.

    Args:
        split: ``train``, ``val``, ``test`` (no masks), or ``train_extra`` (coarse masks).
        root: the folder that contains ``leftImg8bit``.
        annotation: fine or coarse masks; finest: coarse if there are no fine ones, in
            ``train_extra``.

    Returns:
        The split with 19 classes.

    Raises:
        DataError: the folders or files are missing or do not match; all are named.

    Source:
        Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding",
        CVPR 2016, arXiv:1604.01685; ids and colours from mcordts/cityscapesScripts.
    """
    root = Path(root)
    if split == "train_extra" and annotation == "fine":
        raise DataError(
            "cityscapes: expected coarse masks for train_extra, got fine; set annotation=coarse, "
            "or finest to join it with splits that have fine masks"
        )
    coarse = annotation == "coarse" or (annotation == "finest" and split == "train_extra")
    masks = "gtCoarse" if coarse else "gtFine"
    images = f"leftImg8bit/{split}"
    code = IdCode(
        {**dict.fromkeys(range(34), IGNORE_INDEX), **dict(zip(LABEL_IDS, range(19), strict=True))}
    )
    if split == "test":
        # The files in gtFine/test are dummies without labels.
        find_layout("cityscapes", root, (images,))
        files = files_by_name(root, images, "_leftImg8bit")
        pairs = [Pair(name, file, None) for name, file in files.items()]
        return FileDataset(root, pairs, CLASSES, code)
    find_layout("cityscapes", root, (images, f"{masks}/{split}"))
    kind = "labelIds"
    own, ready = (
        next((root / masks / split).glob(f"*/*_{name}.png"), None) for name in (kind, _TRAIN_IDS)
    )
    if own is None and ready is not None:
        kind, code = _TRAIN_IDS, plain_ids(len(CLASSES))
    pairs = match_names(
        root,
        images,
        f"{masks}/{split}",
        image_suffix="_leftImg8bit",
        mask_suffix=f"_{masks}_{kind}",
    )
    return FileDataset(root, pairs, CLASSES, code)
