"""COCO panoptic: PNG files of segment ids, and JSON that says what each segment is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from segdistill.data.convert.export import Export, record_name, split_of
from segdistill.data.convert.records import Drawn, Palette, Record, Size, Source, order_classes
from segdistill.data.convert.splits import usual_split
from segdistill.data.files.masks import read_mask
from segdistill.data.files.palettes import Color
from segdistill.errors import DataError


def detect(export: Export) -> str:
    """Return by what the export is recognised, or ""."""
    files = _documents(export)
    return f"{files[0]}, which lists segments_info" if files else ""


def read(export: Export, background: str | None) -> Source:
    """Open an export; segments of one category become one class, crowds too.

    Args:
        export: the folder.
        background: class of the pixels without a segment, which are 0.

    Raises:
        DataError: there is no such JSON.

    Source:
        Kirillov et al., "Panoptic Segmentation", CVPR 2019; ids are R + 256 G + 65536 B, as
        in cocodataset/panopticapi, ``panopticapi/utils.py``.
    """
    files = _documents(export)
    if not files:
        raise DataError(f"{export.root}: expected JSON with segments_info, got none")
    rows = [row for file in files for row in export.json(file)["categories"]]
    palette = order_classes([str(row["name"]) for row in rows], background, _colors(rows))
    records, broken = list[Record](), list[str]()
    for file in files:
        content = export.json(file)
        ids = {row["id"]: palette.ids[str(row["name"])] for row in content["categories"]}
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        for annotation in content["annotations"]:
            written, mask = names.get(annotation.get("image_id")), str(annotation.get("file_name"))
            try:
                if written is None:
                    raise DataError(f"expected an image of the file's list for {mask}, got none")
                image, png = _files(export, file, written, mask)
            except DataError as error:
                broken.append(f"{export.root / file}: {error}")
                continue
            draw = _drawing(export.root / png, annotation, ids, palette)
            split = split_of(file) or usual_split(file.stem) or split_of(image)
            name = record_name(written, image)
            records.append(Record(name, split, export.root / image, draw, f"{file}: {written}"))
    return Source(palette.classes, records, broken, [palette.note()])


def _documents(export: Export) -> list[Path]:
    files = []
    for file in export.of(".json"):
        content = export.json(file)
        rows = content.get("annotations") if isinstance(content, dict) else None
        if (
            isinstance(rows, list)
            and rows
            and isinstance(rows[0], dict)
            and "segments_info" in rows[0]
        ):
            files.append(file)
    return files


def _colors(rows: list[dict[str, Any]]) -> dict[str, Color]:
    colors = {str(row["name"]): tuple(row["color"]) for row in rows if "color" in row}
    distinct = len(set(colors.values())) == len({str(row["name"]) for row in rows})
    return {name: (c[0], c[1], c[2]) for name, c in colors.items()} if distinct else {}


def _files(export: Export, file: Path, written: str, mask: str) -> tuple[Path, Path]:
    """Find an image and its PNG, which may have one name in two folders."""
    folder = file.with_suffix("").name
    beside = next((f for f in export.images if f.parts[-2:] == (folder, mask)), None)
    png = beside or export.find_image(mask, file.parent)
    same = [f for f in export.images if f.name == Path(written).name and f != png]
    image = same[0] if len(same) == 1 else export.find_image(written, file.parent)
    if image == png:
        raise DataError(f"expected an image and a PNG of segments, got {png} for both")
    return image, png


def _drawing(
    png: Path, annotation: dict[str, Any], ids: dict[Any, int], palette: Palette
) -> Callable[[Size], Drawn]:
    def draw(size: Size) -> Drawn:
        stored = read_mask(png)
        if stored.ndim == 3:
            wide = stored.astype(np.int64)
            stored = wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2]
        segments, places, pixels = np.unique(stored, return_inverse=True, return_counts=True)
        known = {row["id"]: row for row in annotation["segments_info"]}
        table = np.full(len(segments), palette.unlabelled, dtype=np.uint8)
        crowds = unlabelled = 0
        for place, segment in enumerate(segments.tolist()):
            if segment == 0:
                unlabelled = int(pixels[place])
            elif segment not in known or known[segment]["category_id"] not in ids:
                raise DataError(
                    f"{png}: expected segments that the JSON lists, got {segment} on "
                    f"{pixels[place]} pixels"
                )
            else:
                table[place] = ids[known[segment]["category_id"]]
                crowds += bool(known[segment].get("iscrowd"))
        absent = len(known.keys() - set(segments.tolist()))
        counts = {
            "unlabelled pixels": unlabelled,
            "crowds, drawn as their class": crowds,
            "segments without a pixel": absent,
        }
        return Drawn(table[places].reshape(stored.shape), counts)

    return draw
