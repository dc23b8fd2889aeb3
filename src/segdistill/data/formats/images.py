"""A folder of images without masks: to predict on, or to distil on without labels."""

from __future__ import annotations

from pathlib import Path

from segdistill.data.files.dataset import FileDataset
from segdistill.data.files.labels import plain_ids
from segdistill.data.files.matching import Pair, files_by_name
from segdistill.errors import DataError
from segdistill.types import Classes


def images(*, split: str, root: Path) -> FileDataset:
    """Read all images below a folder.

    Args:
        split: sub-folder that contains them; without one of that name, all images below the root
            are the split.
        root: folder that contains the images.

    Returns:
        Images without masks and without classes.

    Raises:
        DataError: there is no such folder, or no image in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"images: expected a folder {root}, got none; check its root")
    folder = split if (root / split).is_dir() else "."
    pairs = [Pair(name, file, None) for name, file in files_by_name(root, folder).items()]
    return FileDataset(root, pairs, Classes((), ()), plain_ids(0))
