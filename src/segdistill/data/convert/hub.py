"""A dataset as downloaded from the Hugging Face hub: Parquet files with images inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.data.convert.class_files import ClassRow, find_class_file, read_class_file
from segdistill.data.convert.export import Export, split_of
from segdistill.data.convert.records import Drawn, Record, Size, Source
from segdistill.data.convert.splits import usual_split
from segdistill.data.convert.stored import decoder
from segdistill.data.files.labels import MAX_CLASSES, LabelCode
from segdistill.data.files.masks import mask_from_bytes
from segdistill.errors import ConfigError, DataError
from segdistill.json_text import load_json
from segdistill.types import IGNORE_INDEX

_IMAGES = ("image", "pixel_values", "img", "photo", "jpg")
_MASKS = (
    "label", "labels", "mask", "annotation", "annotations", "segmentation_mask", "seg", "target",
    "semantic_mask", "label_map", "png",
)  # fmt: skip


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    files = export.of(".parquet")
    return str(files[0]) if files else ""


def read(export: Export, background: str | None) -> Source:
    """Open a folder of Parquet files; a word in a file's name or folder decides its split.

    The columns of images and masks are found by their usual names. Classes are those of
    ``ClassLabel``, of ``id2label.json`` or another class file; without either every number in
    the masks is a class, named by its number.

    Args:
        export: the folder.
        background: class of the pixels with 255 or -1.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: there are no such files, or no such columns.

    Source:
        https://huggingface.co/docs/hub/datasets-image
    """
    parquet = _pyarrow()
    files = export.of(".parquet")
    if not files:
        raise DataError(f"{export.root}: expected Parquet files, got none")
    tables = [_Table(export.root / file, parquet) for file in files]
    rows = _classes(export, tables)
    classes, code = decoder(rows, background)
    records = list[Record]()
    for file, table in zip(files, tables, strict=True):
        split = usual_split(file.stem) or split_of(file)
        start = sum(record.split == split for record in records)
        for place in range(len(table)):
            source = f"{file}[{place}]"
            image, draw = _image(table, place, source), _drawing(table, place, code, source)
            records.append(Record(f"{start + place:06d}", split, image, draw, source))
    notes = [f"columns {', '.join(tables[0].columns)}"]
    return Source(classes, records, (), notes)


class _Table:
    """One Parquet file; one row group at a time is in memory."""

    def __init__(self, path: Path, parquet: Any) -> None:
        self.path = path
        try:
            self._file = parquet.ParquetFile(path)
        except Exception as error:  # pyarrow raises whatever it meets in a broken file
            raise DataError(
                f"{path}: expected a Parquet file, got a broken one ({error})"
            ) from error
        names = self._file.schema_arrow.names
        self.columns = tuple(
            next((name for name in usual if name in names), "") for usual in (_IMAGES, _MASKS)
        )
        if not all(self.columns):
            raise DataError(
                f"{path}: expected a column of images ({', '.join(_IMAGES[:3])}) and one of masks "
                f"({', '.join(_MASKS[:4])}), got {', '.join(names)}"
            )
        meta = self._file.metadata
        ends = np.cumsum([meta.row_group(i).num_rows for i in range(meta.num_row_groups)])
        self._ends = ends.tolist()
        self._read: tuple[int, Any] = (-1, None)

    def __len__(self) -> int:
        count: int = self._file.metadata.num_rows
        return count

    def cell(self, place: int, column: int) -> Any:
        """Return one cell: 0 of images, 1 of masks."""
        group = next(i for i, end in enumerate(self._ends) if place < end)
        if self._read[0] != group:
            self._read = group, self._file.read_row_group(group, columns=list(self.columns))
        start = self._ends[group - 1] if group else 0
        return self._read[1].column(self.columns[column])[place - start].as_py()

    def label_names(self) -> list[str]:
        """Return the names of the mask column's ``ClassLabel``, if it has one."""
        metadata = self._file.schema_arrow.metadata or {}
        try:
            features = load_json(metadata[b"huggingface"])["info"]["features"]
            feature = features[self.columns[1]]
            while isinstance(feature, dict) and "names" not in feature:
                feature = feature.get("feature")
            return list(feature["names"]) if isinstance(feature, dict) else []
        except (KeyError, TypeError, ValueError):
            return []


def _classes(export: Export, tables: list[_Table]) -> list[ClassRow]:
    if names := tables[0].label_names():
        return [ClassRow(name, place) for place, name in enumerate(names)]
    if (file := find_class_file(export)) is not None:
        return read_class_file(export.root / file)
    values: set[int] = set()
    for table in tables:
        for place in range(len(table)):
            stored = _mask(table, place, f"{table.path}[{place}]")
            values.update(np.unique(stored).tolist())
            if len(values) > MAX_CLASSES + 1:
                raise DataError(
                    f"{table.path}: expected the values of at most {MAX_CLASSES} classes, got more"
                )
    return [ClassRow(f"class_{value}", value) for value in sorted(values - {IGNORE_INDEX})]


def _image(table: _Table, place: int, source: str) -> Callable[[], bytes]:
    return lambda: _content(table.cell(place, 0), source)


def _drawing(table: _Table, place: int, code: LabelCode, source: str) -> Callable[[Size], Drawn]:
    def draw(size: Size) -> Drawn:
        ids = code.decode(_mask(table, place, source), Path(source))
        return Drawn(ids, {"pixels without a class": int(np.count_nonzero(ids == IGNORE_INDEX))})

    return draw


def _mask(table: _Table, place: int, source: str) -> np.ndarray:
    cell = table.cell(place, 1)
    if isinstance(cell, list):
        try:
            stored = np.asarray(cell, dtype=np.int32)
        except (TypeError, ValueError) as error:
            raise DataError(f"{source}: expected rows of equal length ({error})") from error
        return np.where(stored == -1, IGNORE_INDEX, stored)
    data = np.frombuffer(_content(cell, source), dtype=np.uint8)
    return mask_from_bytes(np.array(data), Path(source))


def _content(cell: Any, source: str) -> bytes:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes) or not content:
        raise DataError(f"{source}: expected an image in the cell, got none; embed the files")
    return content


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            "convert: expected the package pyarrow, which is not installed; "
            "pip install 'segdistill[hf]'"
        ) from error
    return pyarrow.parquet
