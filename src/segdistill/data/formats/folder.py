"""A plain folder: images/ and masks/ with matching names, and a file of class names."""

from __future__ import annotations

from pathlib import Path

from segdistill.data.files.classes import read_classes
from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.matching import find_layout, match_names
from segdistill.errors import DataError
from segdistill.files import expand_path


def folder(
    *,
    split: str,
    root: Path,
    classes: str = "classes.txt",
    images: str = "images",
    masks: str = "masks",
    image_suffix: str = "",
    mask_suffix: str = "",
) -> FileDataset:
    """Read one split of your own data.

    The split is ``train/images`` with ``train/masks``, or ``images/train`` with
    ``masks/train``. An image and its mask have the same name; extensions may differ, and so may
    what the names end in, such as ``_mask``. Masks store class ids (0 is the first line of
    ``classes.txt``, 255 is no class), or, where ``classes.txt`` gives colours, the colours of the
    classes, be it as RGB or through a palette.

    Args:
        split: name of the split's folder.
        root: folder that contains the splits.
        classes: file with one class a line, ``name``, ``name 255 128 0`` or ``0 name``; a line
            whose name is ``ignore`` gives the colour or id of pixels without a class; lines that
            start with ``#`` are comments. Exports of annotation tools are read too; see
            :func:`segdistill.data.files.classes.read_classes`.
        images: name of the folders of images.
        masks: name of the folders of masks.
        image_suffix: what the names of images end in that is not in those of masks.
        mask_suffix: what the names of masks end in that is not in those of images, such as
            ``_mask``, or ``.jpg`` for ``p0.jpg.png``.

    Returns:
        The split.

    Raises:
        DataError: the folders, ``classes.txt`` or files are missing or do not match.
    """
    root = Path(root)
    nested = (f"{split}/{images}", f"{split}/{masks}")
    flat = (f"{images}/{split}", f"{masks}/{split}")
    _check_split(root, split, images, masks)
    image_folder, mask_folder = find_layout("folder", root, nested, flat)
    names, code = read_classes(root / expand_path(classes))
    pairs = match_names(
        root,
        image_folder,
        mask_folder,
        image_suffix=image_suffix,
        mask_suffix=mask_suffix,
        settable=True,
    )
    return FileDataset(root, pairs, names, code)


def _check_split(root: Path, split: str, images: str, masks: str) -> None:
    """Refuse a split that is not there, and name those that are."""
    nested = {path.parent.name for path in root.glob(f"*/{images}") if path.is_dir()}
    flat = {path.name for path in (root / images).glob("*") if path.is_dir()}
    there = sorted({name for name in nested if (root / name / masks).is_dir()}) + sorted(
        {name for name in flat if (root / masks / name).is_dir()}
    )
    if there and split not in there:
        raise DataError(
            f"{root}: expected a split {split} ({split}/{images} or {images}/{split}), got "
            f"{', '.join(there)}; name one of them in data.train_split or evaluation.split"
        )
