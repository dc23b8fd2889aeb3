"""A folder that Hugging Face ``datasets`` wrote: images and masks inside Arrow files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segdistill.data.files.classes import read_classes
from segdistill.data.files.dataset import check_same_size
from segdistill.data.files.labels import MAX_CLASSES, IdCode, LabelCode, plain_ids
from segdistill.data.files.masks import mask_from_bytes, read_mask
from segdistill.data.files.matching import find_layout
from segdistill.data.files.palettes import distinct_colors
from segdistill.data.files.pixels import AS_STORED, Pixels
from segdistill.data.files.reading import image_from_bytes, read_image
from segdistill.errors import ConfigError, DataError
from segdistill.json_text import load_json
from segdistill.types import IGNORE_INDEX, Classes, Sample

_STATE = "state.json"  # in every folder that Dataset.save_to_disk writes
_SAME = {"val": "validation", "validation": "val"}


def hf(
    *,
    split: str,
    root: Path,
    image_column: str = "image",
    label_column: str = "label",
    classes: str = "classes.txt",
    reduce_labels: bool = False,
) -> ArrowDataset:
    """Read one split of a folder that ``datasets.save_to_disk`` wrote.

    The folder is that of a ``DatasetDict``, with one sub-folder a split (``val`` is also found
    as ``validation``), or that of one ``Dataset``, which is then the split that it was saved
    as, or ``train``. The image column has the feature ``Image``; the label column has it too
    (PNG, ids or colours), or holds one number per pixel: nested lists or ``Array2D``.

    Class names are those of ``ClassLabel`` where the label column has it, otherwise those of
    ``classes.txt`` in the folder. 255, and -1 where ``ClassLabel`` writes it, has no class.

    Args:
        split: name of the split.
        root: the folder that was given to ``save_to_disk``.
        image_column: name of the column of images.
        label_column: name of the column of masks; a split without it has no masks.
        classes: file of names, as for ``folder``, relative to the root.
        reduce_labels: 0 in the masks has no class, and 1 is the first class; transformers calls
            it so.

    Returns:
        The split, read row by row from the mapped files; nothing is downloaded.

    Raises:
        ConfigError: the package ``datasets`` is not installed.
        DataError: the folder, the split, a column or the class names are missing.

    Source:
        Lhoest et al., "Datasets: A Community Library for Natural Language Processing",
        EMNLP 2021 demos, arXiv:2109.02846; the format is that of its ``save_to_disk``.
    """
    try:
        from datasets import Dataset, Image
    except ImportError as error:
        raise ConfigError(
            "hf: expected the package datasets, which is not installed; "
            "pip install 'segdistill[hf]'"
        ) from error
    root = Path(root)
    folder = _find_split(root, split)
    try:
        table = Dataset.load_from_disk(str(folder))
    except Exception as error:  # pyarrow and json raise many kinds at a broken file
        reason = str(error).strip().split("\n")[0][:120]
        raise DataError(
            f"{folder}: expected a folder of datasets.save_to_disk, got one that cannot be "
            f"opened ({reason}); save it again"
        ) from error
    images = [name for name, kind in table.features.items() if isinstance(kind, Image)]
    if image_column not in images:
        raise DataError(
            f"{folder}: expected a column {image_column} of images, got images in "
            f"{', '.join(images) or 'no column'} of {', '.join(table.features)}; "
            "set data.image_column"
        )
    if label_column not in table.features:
        if any(name != image_column for name in images):
            raise DataError(
                f"{folder}: expected a column {label_column} of masks, got "
                f"{', '.join(table.features)}; set data.label_column"
            )
        label_column = ""
    names, code = _classes(table.features.get(label_column), root / classes, reduce_labels)
    if len(table) == 0:
        raise DataError(f"{folder}: expected at least one image, got an empty split")
    # The files' own bytes: our readers keep palette ids, turn by EXIF and name a broken file.
    for name in (image_column, label_column):
        if name in images:
            table = table.cast_column(name, Image(decode=False))
    table = table.select_columns([name for name in (image_column, label_column) if name])
    return ArrowDataset(table, (image_column, label_column), names, code, f"{root}/{split}")


class ArrowDataset:
    """Rows of a Hugging Face ``Dataset`` as images and masks; see :func:`hf`.

    Args:
        table: the rows, with image files as bytes or paths.
        columns: names of the columns of images and of masks; the second may be empty.
        classes: names and colours of the train ids.
        code: what the values of masks mean.
        source: what messages call the table.
    """

    def __init__(
        self, table: Any, columns: tuple[str, str], classes: Classes, code: LabelCode, source: str
    ) -> None:
        self._table, self._columns, self._source = table, columns, source
        self._pixels, self._classes, self._code = AS_STORED, classes, code

    @property
    def classes(self) -> Classes:
        """Names and display colours, in the order of the train ids."""
        return self._classes

    @property
    def code(self) -> LabelCode:
        """What the values of masks mean."""
        return self._code

    @property
    def pixels(self) -> Pixels:
        """How the stored numbers of images become RGB."""
        return self._pixels

    def read_as(self, how: Pixels, classes: Classes, code: LabelCode) -> None:
        """Give the stored numbers of images and masks another meaning, before any is read."""
        self._pixels, self._classes, self._code = how, classes, code

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Sample:
        """Read one row.

        Raises:
            DataError: the row has no image or no mask, one is broken, the sizes differ, or
                the mask contains a value that is no class; the row is named.
        """
        row = self._table[index]
        image_column, label_column = self._columns
        row_path = Path(f"{self._source}[{index}]")
        image = self._image(row[image_column], row_path / image_column)
        name = f"{index:06d}"
        if not label_column:
            return Sample(image, None, name)
        mask_path = row_path / label_column
        mask = self._code.decode(self._mask(row[label_column], mask_path), mask_path)
        check_same_size(row_path / image_column, _size(image), mask_path, _size(mask))
        return Sample(image, mask, name)

    def _image(self, cell: dict[str, Any] | None, path: Path) -> np.ndarray:
        data, file = _content(cell, path)
        if data is None:
            return read_image(Path(file), self._pixels)
        return image_from_bytes(data, path, self._pixels)

    def _mask(self, cell: Any, path: Path) -> np.ndarray:
        if isinstance(cell, dict) or cell is None:
            data, file = _content(cell, path)
            colors = self._code.looks_up_colors
            if data is None:
                return read_mask(Path(file), colors=colors)
            return mask_from_bytes(data, path, colors=colors)
        try:
            stored = np.asarray(cell, dtype=np.int32)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: expected rows of equal length ({error})") from error
        if stored.ndim != 2:
            raise DataError(f"{path}: expected one number per pixel (H, W), got {stored.shape}")
        return np.where(stored == -1, IGNORE_INDEX, stored)


def _find_split(root: Path, split: str) -> Path:
    names = [split, *([_SAME[split]] if split in _SAME else [])]
    layouts = [(f"{name}/{_STATE}",) for name in names]
    if (root / _STATE).is_file() and split in _own_splits(root):
        layouts.append((_STATE,))
    splits = sorted(state.parent.name for state in root.glob(f"*/{_STATE}"))
    if splits and not set(splits) & set(names):
        raise DataError(
            f"{root}: expected a split {split}, got {', '.join(splits)}; name one of them in "
            "data.train_split or evaluation.split"
        )
    (state_file,) = find_layout("hf", root, *layouts)
    return (root / state_file).parent


def _own_splits(root: Path) -> tuple[str, ...]:
    """Return what the one split of a folder without splits is called."""
    try:
        own = load_json((root / _STATE).read_text(encoding="utf-8")).get("_split")
    except (OSError, ValueError, AttributeError):
        own = None
    name = str(own).split("[")[0] if own else "train"
    return (name, _SAME.get(name, name))


def _classes(feature: Any, file: Path, reduce_labels: bool) -> tuple[Classes, LabelCode]:
    names = _label_names(feature)
    if feature is None and not file.is_file():
        return Classes((), ()), plain_ids(0)
    if names is None:
        classes, code = read_classes(file)
    else:
        if not 0 < len(names) <= MAX_CLASSES:
            raise DataError(f"hf: expected 1 to {MAX_CLASSES} classes, got {len(names)}")
        classes = Classes(names, distinct_colors(len(names)))
        code = plain_ids(len(names))
    if reduce_labels:
        ids = {value + 1: value for value in range(len(classes))}
        code = IdCode({0: IGNORE_INDEX, **ids, IGNORE_INDEX: IGNORE_INDEX})
    return classes, code


def _label_names(feature: Any) -> tuple[str, ...] | None:
    """Return the names of the ``ClassLabel`` inside nested lists, if there is one."""
    while feature is not None:
        names = getattr(feature, "names", None)
        if names is not None:
            return tuple(names)
        feature = getattr(feature, "feature", None)
    return None


def _content(cell: dict[str, Any] | None, path: Path) -> tuple[np.ndarray | None, str]:
    if cell is None or (cell.get("bytes") is None and not cell.get("path")):
        raise DataError(f"{path}: expected an image, got an empty cell; fill it or drop the row")
    if cell["bytes"] is None:
        return None, cell["path"]
    # A copy: torch wants arrays that can be written.
    return np.array(np.frombuffer(cell["bytes"], dtype=np.uint8)), ""


def _size(array: np.ndarray) -> tuple[int, int]:
    height, width = array.shape[:2]
    return height, width
